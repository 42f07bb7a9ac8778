import Synchronization

/// What all connections of a server share.
final class ServerState: Sendable {
    private let stopping = Atomic(false)
    private let aborted = Atomic(false)
    private let open = Atomic(0)

    /// No new work is taken.
    var isStopping: Bool { stopping.load(ordering: .relaxed) }

    func stop() { stopping.store(true, ordering: .relaxed) }

    /// The time to finish what was accepted is over.
    var isAborted: Bool { aborted.load(ordering: .relaxed) }

    func abort() { aborted.store(true, ordering: .relaxed) }

    /// How many connections are open.
    var connections: Int { open.load(ordering: .relaxed) }

    func connectionOpened() { open.wrappingAdd(1, ordering: .relaxed) }
    func connectionClosed() { open.wrappingSubtract(1, ordering: .relaxed) }
}
