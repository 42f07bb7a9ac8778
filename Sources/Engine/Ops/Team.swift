import Kernels

/// What a team of threads does together: every thread runs it from beginning to end, and shares out each operation's
/// pieces with the others.
package protocol TeamTask: AnyObject {
    func run(_ ops: Ops)
}

/// A fixed number of threads on one instruction set. One call at a time; with OpenMP, all from the same thread.
package final class Team: @unchecked Sendable {
    /// The threads there are: fewer than were asked for where the system gives no more.
    package let count: Int
    /// What was asked for, what there is and why, where these differ.
    package let note: String?
    private let instructionSet: InstructionSet
    private let team: OpaquePointer
    /// Each thread as a team of its own.
    private let alone: UnsafeMutablePointer<apus_thread>
    private let arena: Arena

    /// - Parameter spreads: whether a run may change its workers' CPU affinity; see apus_team_options.
    package init(
        _ instructionSet: InstructionSet, threads asked: Int, runtime: TeamRuntime = .pthreads, spreads: Bool = false,
        in arena: Arena
    ) throws(InputError) {
        precondition(asked >= 1)
        let memory = try arena.allocate(UInt8.self, apus_team_bytes(asked))
        alone = try arena.allocate(apus_thread.self, asked)
        var options = apus_team_options(
            runtime: runtime == .openmp ? APUS_TEAM_OPENMP : APUS_TEAM_PTHREADS, spread: spreads ? 1 : 0)
        var reason = [CChar](repeating: 0, count: APUS_TEAM_REASON)
        let started = apus_team_start(memory, asked, &options, &reason)
        let why = String(decoding: reason.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        guard let started else {
            throw InputError("APUS_TEAM", "\(runtime.rawValue) cannot start here: \(why). Unset it for threads of Apus' own")
        }
        team = started
        count = apus_team_count(team)
        note = count < asked ? "asked for \(asked) threads, the system gave \(count) (\(why))" : nil
        self.instructionSet = instructionSet
        self.arena = arena
    }

    deinit { apus_team_stop(team) }

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
                team,
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

extension Team {
    /// Operations on one thread, before there are passes.
    static func runOnce(on instructionSet: InstructionSet, _ body: (Ops) -> Void) throws(InputError) {
        let team = try Team(instructionSet, threads: 1, in: Arena())
        withoutActuallyEscaping(body) { team.run(Body(run: $0)) }
    }

    private final class Body: TeamTask {
        private let body: (Ops) -> Void

        init(run body: @escaping (Ops) -> Void) { self.body = body }

        func run(_ ops: Ops) { body(ops) }
    }
}
