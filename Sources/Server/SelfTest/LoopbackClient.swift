import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOPosix
import ServiceLifecycle

/// Asks a server in this process over real HTTP: a connection for each request, no proxy.
package struct LoopbackClient: Sendable {
    package struct Response: Sendable {
        package var status = HTTPResponse.Status.internalServerError
        package var headers = HTTPFields()
        package var body = ByteBuffer()
    }

    package struct NoAnswer: Error, CustomStringConvertible {
        package let description = "no whole answer came within 30 seconds"
    }

    package let port: Int

    /// Calls `body` while the server runs on a free port; nil where it did not start.
    package static func with<Result: Sendable>(
        _ server: ApusServer, _ body: @escaping @Sendable (LoopbackClient) async throws -> Result
    ) async throws -> Result? {
        let (ports, port) = AsyncStream<Int>.makeStream()
        let application = server.application { port.yield($0) }
        let services = ServiceGroup(configuration: .init(services: [application], logger: application.logger))
        let serving = Task { try await services.run() }
        let result = try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask {
                var iterator = ports.makeAsyncIterator()
                guard let port = await iterator.next() else { return nil }
                return try await body(LoopbackClient(port: port))
            }
            group.addTask {
                // A server that ends before it was told to did not start.
                _ = await serving.result
                return nil
            }
            let first = await group.nextResult()
            port.finish()
            await services.triggerGracefulShutdown()
            return try first?.get()
        }
        try await serving.value
        return result ?? nil
    }

    /// - Parameter uri: path and query.
    package func execute(
        uri: String, method: HTTPRequest.Method, headers: HTTPFields = [:], body: ByteBuffer? = nil
    ) async throws -> Response {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(HTTP1ToHTTPClientCodec())
                    return try NIOAsyncChannel<HTTPResponsePart, HTTPRequestPart>(wrappingChannelSynchronously: channel)
                }
            }
        let timeout = channel.channel.eventLoop.scheduleTask(in: .seconds(30)) { channel.channel.close(promise: nil) }
        defer { timeout.cancel() }
        var request = HTTPRequest(
            method: method, scheme: "http", authority: "127.0.0.1:\(port)", path: uri, headerFields: headers)
        if let body { request.headerFields[.contentLength] = "\(body.readableBytes)" }
        return try await channel.executeThenClose { [request] inbound, outbound in
            // A server that refuses a body need not read it to the end.
            async let sent: Void? = try? Self.send(request, body, outbound)
            var response = Response()
            for try await part in inbound {
                switch part {
                case .head(let head): (response.status, response.headers) = (head.status, head.headerFields)
                case .body(let bytes): response.body.writeImmutableBuffer(bytes)
                case .end: return response
                }
            }
            _ = await sent
            throw NoAnswer()
        }
    }

    private static func send(
        _ request: HTTPRequest, _ body: ByteBuffer?, _ outbound: NIOAsyncChannelOutboundWriter<HTTPRequestPart>
    ) async throws {
        try await outbound.write(.head(request))
        if let body { try await outbound.write(.body(body)) }
        try await outbound.write(.end(nil))
    }
}
