import Kernels

/// What a team of threads does together: every thread runs it from beginning to end, and shares out each operation's
/// pieces with the others.
package protocol TeamTask: AnyObject {
    func run(_ ops: Ops)
}

/// A fixed number of threads on one instruction set. Where there is more than one, all calls come from the same thread.
package final class Team: @unchecked Sendable {
    package let count: Int
    private let instructionSet: InstructionSet
    private let threads: UnsafeMutablePointer<apus_thread>
    /// Each thread as a team of its own.
    private let alone: UnsafeMutablePointer<apus_thread>
    private let arena: Arena

    package init(_ instructionSet: InstructionSet, threads count: Int, in arena: Arena) throws(InputError) {
        precondition(count >= 1)
        self.count = count
        self.instructionSet = instructionSet
        self.arena = arena
        threads = try arena.allocate(apus_thread.self, count)
        alone = try arena.allocate(apus_thread.self, count)
    }

    /// For operations that the thread of `ops` does by itself, whatever the others do meanwhile.
    func alone(_ ops: Ops) -> Ops {
        let thread = alone + ops.threadIndex
        thread.pointee = apus_thread()
        thread.pointee.team = thread
        thread.pointee.count = 1
        return Ops(kernels: instructionSet.kernels, thread: thread)
    }

    private struct Call {
        let task: any TeamTask
        let kernels: UnsafePointer<apus_kernels>
    }

    package func run(_ task: any TeamTask) {
        var call = Call(task: task, kernels: instructionSet.kernels)
        withUnsafeMutablePointer(to: &call) { call in
            apus_team_run(
                threads, count,
                { context, thread in
                    let call = context!.assumingMemoryBound(to: Call.self)
                    let kernels = call.pointee.kernels
                    kernels.pointee.thread_begin?()
                    call.pointee.task.run(Ops(kernels: kernels, thread: thread!))
                    kernels.pointee.thread_end?()
                }, call)
        }
    }
}
