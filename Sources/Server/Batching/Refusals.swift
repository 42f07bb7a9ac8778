import Synchronization

/// Since when a connection's client has been refused, as the queue is full: nil from its next answer on.
package final class Refusals: Sendable {
    /// Of the connection that this task serves; nil where its requests are answered by tasks of their own.
    @TaskLocal static var current: Refusals?

    private let first = Mutex<ContinuousClock.Instant?>(nil)

    var since: ContinuousClock.Instant? { first.withLock { $0 } }

    /// Takes note of an answer's status.
    func note(_ status: Int) {
        switch status {
        case 429: first.withLock { $0 = $0 ?? .now }
        case 200..<300: first.withLock { $0 = nil }
        default: break
        }
    }
}
