import Foundation
import Kernels
import Testing

@Suite struct TeamTests {
    /// What the threads of a team do, and what they saw.
    private final class Work: @unchecked Sendable {
        static let operations = 300
        static let pieces = 41
        let team: UnsafeMutablePointer<apus_thread>
        /// [operations][pieces]: how often each was taken.
        let taken: UnsafeMutablePointer<Int>
        private let lock = NSCondition()
        private var faults = 0
        private var sizes: [Int] = []
        private var hasEnded = false

        init(_ count: Int) {
            team = .allocate(capacity: count)
            team.initialize(repeating: apus_thread(), count: count)
            taken = .allocate(capacity: Self.operations * Self.pieces)
        }

        deinit {
            team.deallocate()
            taken.deallocate()
        }

        func run(_ count: Int) {
            for _ in 0..<3 {
                taken.initialize(repeating: 0, count: Self.operations * Self.pieces)
                apus_team_run(
                    team, count,
                    { context, thread in
                        Unmanaged<Work>.fromOpaque(context!).takeUnretainedValue().walk(thread!)
                    }, Unmanaged.passUnretained(self).toOpaque())
            }
            lock.withLock {
                hasEnded = true
                lock.broadcast()
            }
        }

        private func walk(_ thread: UnsafeMutablePointer<apus_thread>) {
            var found = 0
            for operation in 0..<Self.operations {
                let total = operation % (Self.pieces + 1)
                let row = taken + operation * Self.pieces
                var first = 0
                var last = 0
                while apus_thread_take(thread, total, &first, &last) != 0 {
                    if !(first < last && last <= total) { found += 1 }
                    for piece in first..<last { row[piece] += 1 }
                }
                apus_thread_barrier(thread)
                if !(0..<Self.pieces).allSatisfy({ row[$0] == ($0 < total ? 1 : 0) }) { found += 1 }
            }
            lock.withLock {
                faults += found
                if thread.pointee.index == 0 { sizes.append(thread.pointee.count) }
            }
        }

        func wait() -> (faults: Int, sizes: [Int]) {
            lock.withLock {
                while !hasEnded { lock.wait() }
                return (faults, sizes)
            }
        }
    }

    @Test(arguments: [1, 2, 3, 5])
    func `every piece of every operation is taken once, and seen by all behind the barrier`(_ count: Int) {
        let work = Work(count)
        Thread { work.run(count) }.start()  // as an engine does it: all calls from one thread
        let (faults, sizes) = work.wait()
        #expect(faults == 0)
        #expect(sizes == [count, count, count])
    }
}
