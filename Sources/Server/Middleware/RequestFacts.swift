import Logging
import Synchronization

/// What a handler leaves for the log line and the headers of its request.
final class RequestFacts: Sendable {
    struct Values: Sendable {
        var identifier = ""
        /// nil where the client sent none.
        var trace: TraceContext?
        /// The type of the error that is the answer.
        var error: String?
        /// What the answer's status would be, where it is another one; gRPC's answers all have 200.
        var status: Int?
        /// Which model the answer is of: its name, and the first digits of its digest.
        var model: String?
        var texts: Int?
        var tokens: Int?
        var timing = ServerTiming()

        /// What each log line of the request begins with: how it is found.
        var names: Logger.Metadata {
            var names = trace?.metadata ?? [:]
            names["request_id"] = .string(identifier)
            return names
        }
    }

    let values = Mutex(Values())
}
