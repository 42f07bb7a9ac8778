import Foundation
import HTTPTypes
import NIOCore
import Synchronization

/// Turns requests for predictions away before the router sees them, where every model's queue is full: refusals may be many
/// times as many as answers, and must not cost what those do. What it sends is what the router would have.
///
/// It sees to requests of the usual form. Others go the long way, to the same answer.
final class Door: Sendable {
    private let paths: Set<String>
    private let models: ModelRegistry
    private let state: ServerState
    private let authentication: Authentication?
    private let metrics: ServerMetrics
    private let status: HTTPResponse.Status
    private let headers: HTTPFields
    private let body: ByteBuffer
    private let date = Mutex((second: 0, text: ""))

    /// - Parameter paths: of `POST /predict`, and others that are answered alike.
    init(
        _ paths: Set<String>, _ models: ModelRegistry, places: Int, state: ServerState, authentication: Authentication?,
        metrics: ServerMetrics
    ) {
        self.paths = paths
        self.models = models
        self.state = state
        self.authentication = authentication
        self.metrics = metrics
        let error = RequestError.queueFull(waiting: places, asked: nil, limit: places)
        status = error.status
        body = ByteBuffer(bytes: error.json.serialized())
        var headers = error.headers
        headers[.contentType] = "application/json"
        headers[.contentLength] = "\(body.readableBytes)"
        headers[.server] = "apus"
        headers[.serverTiming] = ServerTiming().header
        self.headers = headers
    }

    /// The answer to a request that is turned away; nil where the router is to answer.
    func refusal(of request: HTTPRequest) -> (head: HTTPResponse, body: ByteBuffer)? {
        guard request.method == .post, let path = request.path, paths.contains(path) else { return nil }
        let models = models.current.served
        guard !models.isEmpty, models.allSatisfy(\.queue.isFull), !state.isStopping else { return nil }
        let fields = request.headerFields
        // What changes an answer's headers is the router's.
        if fields.contains(.origin) || fields.contains(.traceParent) { return nil }
        if let type = fields[.contentType], !PredictRoutes.isJSON(type) { return nil }
        if let authentication, (try? authentication.check(fields)) == nil { return nil }
        var head = HTTPResponse(status: status, headerFields: headers)
        head.headerFields[.requestID] = RequestIdentifier.accepted(fields[.requestID]) ?? RequestIdentifier.make()
        head.headerFields[.date] = now()
        metrics.requestStarted()
        metrics.requestEnded(handler: path, method: "POST", status: status.code, error: "queue_full", took: .zero)
        return (head, body)
    }

    /// As RFC 9110 writes it, made once a second.
    private func now() -> String {
        date.withLock { date in
            var second = time(nil)
            guard date.second != second else { return date.text }
            var parts = tm()
            gmtime_r(&second, &parts)
            let bytes = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { text in
                let count = strftime(text.baseAddress!, text.count, "%a, %d %b %Y %H:%M:%S GMT", &parts)
                return text.prefix(count).map(UInt8.init(bitPattern:))
            }
            date = (second, String(decoding: bytes, as: UTF8.self))
            return date.text
        }
    }
}
