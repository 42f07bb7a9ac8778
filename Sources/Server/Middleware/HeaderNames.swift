import HTTPTypes

extension HTTPField.Name {
    package static let serverTiming = Self("Server-Timing")!
    package static let requestID = Self("X-Request-Id")!
    package static let apusModel = Self("X-Apus-Model")!
    /// Whoever sends the same one gets the same model.
    static let apusKey = Self("X-Apus-Key")!
    static let forwarded = Self("Forwarded")!
    static let xForwardedFor = Self("X-Forwarded-For")!
    static let traceParent = Self("traceparent")!
    static let traceState = Self("tracestate")!
    static let inferenceHeaderContentLength = Self("Inference-Header-Content-Length")!
}
