import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOHTTPCompression

/// How a body is packed: its `Content-Encoding` (RFC 9110, 8.4).
enum ContentCoding: String, Sendable {
    case identity
    case gzip
    /// zlib's form; deflate without its frame is damaged zlib.
    case deflate

    /// How many times its size a body may unpack to. JSON shrinks to a fifth or a tenth, the same text 128 times to a fortieth;
    /// the format itself would allow 1,032.
    private static let largestRatio = 100
    /// What every body may unpack to.
    private static let harmlessBytes = 16 << 10
    /// What is unpacked at once: the decompressor's buffers are some times that.
    private static let stepBytes = 16 << 10

    init(_ request: HTTPRequest) throws(RequestError) {
        let name = request.headerFields[.contentEncoding]?.lowercased() ?? "identity"
        guard let coding = Self(rawValue: name == "x-gzip" ? "gzip" : name) else {
            var error = RequestError(
                .unsupportedMediaType, "unsupported_media_type",
                "Content-Encoding \(name) is not supported; send the body as it is, or packed with gzip or deflate")
            error.headers[.acceptEncoding] = "gzip, deflate"
            throw error
        }
        self = coding
    }

    /// What the body was before it was packed.
    ///
    /// NIO's handler does that in a channel of its own, as Netty's does, and not in the connection's pipeline: there it would
    /// unpack whatever comes, before the key, the queue and the room for bodies are looked at, and a thousand connections could
    /// fill 2 GB with some hundred bytes each. So the connection's limits count what goes over the wire, and memory for what
    /// comes of it is taken only while a thread works on it.
    ///
    /// - Parameter limit: what it may unpack to, in bytes.
    func unpacked(_ body: [UInt8], limit: Int) throws(RequestError) -> [UInt8] {
        if self == .identity { return body }
        let allowed = min(limit, max(Self.harmlessBytes, Self.largestRatio * body.count))
        let channel = EmbeddedChannel(handler: NIOHTTPRequestDecompressor(limit: .size(allowed)))
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        var unpacked: [UInt8] = []
        do {
            func write(_ part: HTTPServerRequestPart) throws {
                try channel.writeInbound(part)
                while let part = try channel.readInbound(as: HTTPServerRequestPart.self) {
                    if case .body(let bytes) = part { unpacked += bytes.readableBytesView }
                }
            }
            let headers: HTTPHeaders = ["content-encoding": rawValue]
            try write(.head(HTTPRequestHead(version: .http1_1, method: .POST, uri: "/", headers: headers)))
            var packed = ByteBuffer(bytes: body)
            while packed.readableBytes > 0 {
                try write(.body(packed.readSlice(length: min(Self.stepBytes, packed.readableBytes))!))
            }
            try write(.end(nil))
        } catch NIOHTTPDecompression.DecompressionError.limit {
            throw RequestError(
                .contentTooLarge, "body_too_large",
                allowed == limit
                    ? "the body unpacks to more than the limit of \(limit) bytes"
                    : "the body of \(body.count) bytes unpacks to more than \(allowed), \(Self.largestRatio) times its size or "
                        + "\(Self.harmlessBytes); send it as it is")
        } catch {
            let problem: String
            switch error as? NIOHTTPDecompression.ExtraDecompressionError {
            case .truncatedData?: problem = "it ends too early"
            case .invalidTrailingData?: problem = "something follows its end"
            default: problem = "it is damaged"
            }
            throw RequestError(.badRequest, "malformed_encoding", "the body cannot be unpacked by \(rawValue): \(problem)")
        }
        return unpacked
    }
}
