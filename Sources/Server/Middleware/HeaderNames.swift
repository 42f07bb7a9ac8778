import HTTPTypes

extension HTTPField.Name {
    package static let serverTiming = Self("Server-Timing")!
    package static let requestID = Self("X-Request-Id")!
    static let traceParent = Self("traceparent")!
    static let inferenceHeaderContentLength = Self("Inference-Header-Content-Length")!
    /// An error's type on its way from where it was answered to where it is counted; it never goes out.
    static let errorType = Self("Apus-Error")!
}
