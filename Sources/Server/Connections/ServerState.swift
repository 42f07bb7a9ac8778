import Synchronization

/// What all connections of a server share.
final class ServerState: Sendable {
    private let stopping = Atomic(false)
    private let aborted = Atomic(false)
    private let open = Atomic(0)

    /// No new work is taken.
    var isStopping: Bool { stopping.load(ordering: .relaxed) }

    /// Throws where it is.
    func refuseWhenStopping() throws(RequestError) {
        if isStopping { throw .stopping }
    }

    func stop() { stopping.store(true, ordering: .relaxed) }

    /// The time to finish what was accepted is over.
    var isAborted: Bool { aborted.load(ordering: .relaxed) }

    func abort() { aborted.store(true, ordering: .relaxed) }

    /// Large bodies that are about to be received.
    let largeBodies = ByteBudget()
    /// What has come of bodies in HTTP/2, large or small: a connection may have a hundred of them.
    let streamedBodies = ByteBudget()

    /// How many connections are open.
    var connections: Int { open.load(ordering: .relaxed) }

    private let answering = Atomic(0)

    /// Whether one request is being answered, and no other has come.
    var answersOne: Bool { answering.load(ordering: .relaxed) == 1 }

    func answerBegun() { answering.wrappingAdd(1, ordering: .relaxed) }
    func answerEnded() { answering.wrappingSubtract(1, ordering: .relaxed) }

    func connectionOpened() { open.wrappingAdd(1, ordering: .relaxed) }
    func connectionClosed() { open.wrappingSubtract(1, ordering: .relaxed) }
}

/// Bytes that are taken up to a limit, by whoever asks first.
struct ByteBudget: ~Copyable, Sendable {
    private let taken = Atomic(0)

    /// False where there are not as many left within `limit`.
    func reserve(_ bytes: Int, of limit: Int) -> Bool {
        let sum = taken.wrappingAdd(bytes, ordering: .relaxed).newValue
        if sum <= limit { return true }
        release(bytes)
        return false
    }

    func release(_ bytes: Int) { taken.wrappingSubtract(bytes, ordering: .relaxed) }
}
