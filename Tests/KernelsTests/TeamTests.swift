import Foundation
import Kernels
import Testing

/// What runs a team's threads; tests run once for each.
struct Runtime: CustomTestStringConvertible, Sendable {
    let value: apus_team_runtime
    let testDescription: String
    /// Why no team of five starts here, or empty.
    let reason: String

    private init(_ value: apus_team_runtime, _ name: String) {
        self.value = value
        testDescription = name
        reason = TeamMemory(5).start(value).reason
    }

    static let pthreads = Runtime(APUS_TEAM_PTHREADS, "pthreads")
    static let openmp = Runtime(APUS_TEAM_OPENMP, "openmp")
    static let available = [pthreads, openmp].filter(\.reason.isEmpty)
}

/// Room for a team, which ends with it.
private final class TeamMemory {
    private let memory: UnsafeMutableRawPointer
    private let count: Int
    private var started: OpaquePointer?

    init(_ count: Int) {
        self.count = count
        memory = .allocate(byteCount: apus_team_bytes(count), alignment: 64)
    }

    deinit {
        stop()
        memory.deallocate()
    }

    func start(_ runtime: apus_team_runtime, spread: Bool = false) -> (team: OpaquePointer?, reason: String) {
        var options = apus_team_options(runtime: runtime, spread: spread ? 1 : 0)
        var reason = [CChar](repeating: 1, count: APUS_TEAM_REASON)
        started = apus_team_start(memory, count, &options, &reason)
        return (started, String(decoding: reason.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
    }

    func stop() {
        if let started { apus_team_stop(started) }
        started = nil
    }
}

/// What the threads of a team do, and what they saw.
private final class Work: @unchecked Sendable {
    static let operations = 60
    static let pieces = 41
    private let team: OpaquePointer
    /// [operations][pieces]: how often each was taken.
    private let taken = UnsafeMutablePointer<Int>.allocate(capacity: operations * pieces)
    private let lock = NSLock()
    /// Called by each thread in each operation.
    private let pause: @Sendable () -> Void
    private(set) var faults = 0
    private(set) var sizes: [Int] = []

    init(_ team: OpaquePointer, pause: @escaping @Sendable () -> Void = {}) {
        self.team = team
        self.pause = pause
    }

    deinit { taken.deallocate() }

    func run() {
        taken.initialize(repeating: 0, count: Self.operations * Self.pieces)
        apus_team_run(
            team, { context, thread in Unmanaged<Work>.fromOpaque(context!).takeUnretainedValue().walk(thread!) },
            Unmanaged.passUnretained(self).toOpaque())
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
            pause()
            apus_thread_barrier(thread)
            if !(0..<Self.pieces).allSatisfy({ row[$0] == ($0 < total ? 1 : 0) }) { found += 1 }
        }
        lock.withLock {
            faults += found
            if thread.pointee.index == 0 { sizes.append(thread.pointee.count) }
        }
    }
}

/// A thread that calls teams, as an engine does it: with OpenMP all calls have to come from one.
private func onOneThread<Result>(_ body: @escaping @Sendable () -> Result) -> Result {
    nonisolated(unsafe) var result: Result?
    let ended = DispatchSemaphore(value: 0)
    Thread {
        result = body()
        ended.signal()
    }.start()
    ended.wait()
    return result!
}

/// Serialized, as some count this process' threads.
@Suite(.serialized) struct TeamTests {
    @Test(.enabled(if: Runtime.openmp.reason.isEmpty, Comment(rawValue: "no OpenMP here: \(Runtime.openmp.reason)")))
    func `the openmp team is tested`() {
        #expect(Runtime.available.count == 2)
    }

    @Test(arguments: Runtime.available, [1, 2, 3, 5])
    func `every piece of every operation is taken once, and seen by all behind the barrier`(
        _ runtime: Runtime, _ count: Int
    ) throws {
        let memory = TeamMemory(count)
        let team = try #require(memory.start(runtime.value).team)
        #expect(apus_team_count(team) == count)
        let work = Work(team)
        onOneThread { for _ in 0..<15 { work.run() } }
        #expect(work.faults == 0)
        #expect(work.sizes == Array(repeating: count, count: 15))
    }

    @Test(arguments: Runtime.available, [2, 3, 5])
    func `so it is where threads come late, to a barrier or to a run, when the others sleep already`(
        _ runtime: Runtime, _ count: Int
    ) throws {
        let memory = TeamMemory(count)
        let work = Work(try #require(memory.start(runtime.value, spread: true).team)) {
            if Int.random(in: 0..<40) == 0 { usleep(.random(in: 0..<3000)) }
        }
        onOneThread {
            for _ in 0..<15 {
                work.run()
                usleep([0, 500, 5000].randomElement()!)
            }
        }
        #expect(work.faults == 0)
        #expect(work.sizes == Array(repeating: count, count: 15))
    }

    /// Tests/TeamStress does so at length, under ThreadSanitizer.
    @Test(arguments: [2, 3, 5])
    func `runs of own workers come from any thread in turn`(_ count: Int) throws {
        let memory = TeamMemory(count)
        let work = Work(try #require(memory.start(APUS_TEAM_PTHREADS).team))
        for _ in 0..<10 { onOneThread { work.run() } }
        #expect(work.faults == 0)
        #expect(work.sizes == Array(repeating: count, count: 10))
    }

    @Test func `a thread by itself is a team without a start`() {
        var thread = apus_thread()
        withUnsafeMutablePointer(to: &thread) { thread in
            thread.pointee.team = thread
            thread.pointee.count = 1
            for _ in 0..<3 {
                var first = 9
                var last = 9
                #expect(apus_thread_take(thread, 7, &first, &last) == 1)
                #expect(first == 0 && last == 7)
                #expect(apus_thread_take(thread, 7, &first, &last) == 0)
                apus_thread_barrier(thread)
            }
        }
    }

    @Test func `memory is written as far as it was asked for`() throws {
        let bytes = apus_team_bytes(3)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes + 64, alignment: 64)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: 0xA5, count: bytes + 64)
        var options = apus_team_options(runtime: APUS_TEAM_PTHREADS, spread: 0)
        var reason = [CChar](repeating: 1, count: APUS_TEAM_REASON)
        let team = try #require(apus_team_start(memory, 3, &options, &reason))
        let work = Work(team)
        work.run()
        apus_team_stop(team)
        #expect(work.faults == 0)
        #expect((bytes..<bytes + 64).allSatisfy { memory.load(fromByteOffset: $0, as: UInt8.self) == 0xA5 })
    }

    #if os(Linux) && SANITIZED  // the whole package's tests have other teams in the same process
        private static func threads(named name: String? = nil) -> Int {
            let folder = "/proc/self/task"
            return ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).count {
                guard let name else { return true }
                return (try? String(contentsOfFile: "\(folder)/\($0)/comm", encoding: .utf8)) == name + "\n"
            }
        }

        /// A thread that was joined may be listed for another moment.
        private static func settles(named name: String, at count: Int) -> Bool {
            for _ in 0..<2000 {
                if threads(named: name) == count { return true }
                usleep(1000)
            }
            return false
        }

        @Test func `workers have a name, and none is left when a team has stopped`() throws {
            let before = Self.threads(named: "apus-team")
            for round in 0..<200 {
                let count = 1 + round % 5
                let memory = TeamMemory(count)
                let work = Work(try #require(memory.start(APUS_TEAM_PTHREADS).team))
                if round % 3 != 0 { work.run() }
                if round % 3 == 2 { usleep(2000) }
                #expect(round % 3 == 0 || Self.settles(named: "apus-team", at: before + count - 1))
                memory.stop()
                #expect(work.faults == 0)
            }
            #expect(Self.settles(named: "apus-team", at: before))
        }

        @Test(arguments: [2, 5])
        func `workers block signals that are for the host program, and its own threads' are as before`(_ count: Int) throws {
            func blocked(_ task: String) throws -> UInt64 {
                let status = try String(contentsOfFile: "/proc/self/task/\(task)/status", encoding: .utf8)
                let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("SigBlk:") })
                return try #require(UInt64(line.dropFirst(7).trimmingPrefix { $0.isWhitespace }, radix: 16))
            }
            var before = sigset_t()
            var after = sigset_t()
            pthread_sigmask(SIG_SETMASK, nil, &before)
            let memory = TeamMemory(count)
            let work = Work(try #require(memory.start(APUS_TEAM_PTHREADS).team))
            work.run()
            pthread_sigmask(SIG_SETMASK, nil, &after)
            for signal in 1...64 { #expect(sigismember(&before, Int32(signal)) == sigismember(&after, Int32(signal))) }
            var workers = 0
            for task in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task") {
                guard (try? String(contentsOfFile: "/proc/self/task/\(task)/comm", encoding: .utf8)) == "apus-team\n" else {
                    continue
                }
                workers += 1
                let mask = try blocked(task)
                for signal in [SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGALRM, SIGPROF, SIGUSR1] {
                    #expect(mask & 1 << UInt64(signal - 1) != 0, "signal \(signal)")
                }
                for signal in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP] {
                    #expect(mask & 1 << UInt64(signal - 1) == 0, "signal \(signal)")
                }
            }
            #expect(workers >= count - 1)
        }
    #endif
}
