import Synchronization

/// What a handler leaves for the log line and the headers of its request.
final class RequestFacts: Sendable {
    struct Values: Sendable {
        var identifier = ""
        /// The type of the error that is the answer.
        var error: String?
        /// What the answer's status would be, where it is another one; gRPC's answers all have 200.
        var status: Int?
        /// Which model the answer is of: its name, and the first digits of its digest.
        var model: String?
        var texts: Int?
        var tokens: Int?
        var timing = ServerTiming()
    }

    let values = Mutex(Values())
}
