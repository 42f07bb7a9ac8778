import Synchronization

/// What a handler leaves for the log line and the headers of its request.
final class RequestFacts: Sendable {
    struct Values: Sendable {
        var identifier = ""
        /// The type of the error that is the answer.
        var error: String?
        var texts: Int?
        var tokens: Int?
        var timing = ServerTiming()
    }

    let values = Mutex(Values())
}
