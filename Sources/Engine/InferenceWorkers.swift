import Synchronization

/// The threads that passes run on. Models that have the same ones take turns: one pass at a time, whoever's it is, in the order
/// in which they were brought.
package final class InferenceWorkers: Sendable {
    let thread: InferenceThread
    /// Held during a pass.
    let turn = Mutex(())
    private let teams = Mutex<[(kind: Kind, team: Team)]>([])

    /// What a model wants of a team.
    private struct Kind: Equatable {
        let instructionSet: String
        let threads: Int
        let runtime: TeamRuntime
        let spreads: Bool
    }

    /// - Parameter isInBackground: whether what is enqueued may wait for all other threads of the machine. For passes of one
    ///   thread only: a team's others are as any.
    package init(isInBackground: Bool = false) { thread = InferenceThread(isInBackground: isInBackground) }

    /// The team of that kind, which the first model of its kind brings. It outlives the models.
    func team(_ options: InferenceSession.Options) throws(InputError) -> Team {
        let kind = Kind(
            instructionSet: options.instructionSet.name, threads: options.backend == .openblas ? 1 : options.threads,
            runtime: options.runtime, spreads: options.spreadsThreads)
        return try teams.withLock { teams throws(InputError) in
            if let (_, team) = teams.first(where: { $0.kind == kind }) { return team }
            let team = try Team(
                options.instructionSet, threads: kind.threads, runtime: kind.runtime, spreads: kind.spreads, in: Arena())
            teams.append((kind, team))
            return team
        }
    }
}
