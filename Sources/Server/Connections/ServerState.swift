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

    private let collecting = Atomic(0)

    /// Room for a body that is about to be received; false where there is none within `limit`.
    func reserve(bodyBytes: Int, of limit: Int) -> Bool {
        let sum = collecting.wrappingAdd(bodyBytes, ordering: .relaxed).newValue
        if sum <= limit { return true }
        release(bodyBytes: bodyBytes)
        return false
    }

    func release(bodyBytes: Int) { collecting.wrappingSubtract(bodyBytes, ordering: .relaxed) }

    private let streaming = Atomic(0)

    /// The same of what has come of bodies in HTTP/2, large or small: a connection may have a hundred of them.
    func reserve(streamBytes: Int, of limit: Int) -> Bool {
        let sum = streaming.wrappingAdd(streamBytes, ordering: .relaxed).newValue
        if sum <= limit { return true }
        release(streamBytes: streamBytes)
        return false
    }

    func release(streamBytes: Int) { streaming.wrappingSubtract(streamBytes, ordering: .relaxed) }

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
