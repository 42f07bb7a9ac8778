/// What one request may ask for.
public struct ServerLimits: Sendable {
    public var bodyBytes: Int
    /// The most texts of one request.
    public var clientBatch: Int

    public init(bodyBytes: Int = 2 << 20, clientBatch: Int = 128) {
        self.bodyBytes = bodyBytes
        self.clientBatch = clientBatch
    }
}
