import Synchronization

/// A place in a queue that a request has before its texts are known; it is given back where nobody takes it.
package final class Seat: Sendable {
    private let queue: InferenceQueue
    private let isTaken = Atomic(false)

    init(in queue: InferenceQueue) { self.queue = queue }

    /// How many of the places that a request needs in `queue` it has already; they are the caller's from now on.
    func take(in queue: InferenceQueue) -> Int {
        queue === self.queue && !isTaken.exchange(true, ordering: .relaxed) ? 1 : 0
    }

    deinit {
        if !isTaken.load(ordering: .relaxed) { queue.release(1) }
    }
}
