import HTTPTypes
import NIOCore
import NIOHTTP2
import NIOHTTPTypes
import NIOHTTPTypesHTTP2

/// Stands between one request of a connection in HTTP/2 and the router, and sees to what a router never sees: a request that does
/// not arrive in time, an answer that is not taken, one that is given before the request has come whole.
final class HTTP2Stream: ChannelDuplexHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// Who has to do something next.
    enum Turn { case client, server }

    /// So many of the largest bodies may be on their way at once in all streams, as these have no places of their own.
    private static let bodies = 64
    /// How long the rest of a request that is answered is thrown away, before its stream is reset: some clients take that for
    /// an error, whatever was answered (curl 7.88).
    private static let lingerTime = Duration.seconds(2)

    private let connection: HTTP2Connection
    private let place: ConnectionRoom.Place
    private let limits: ServerLimits
    private let state: ServerState
    private let refused: ConnectionGuard.Refusal

    private var turn = Turn.client
    private var isReading = true
    /// Answered here: the router does not see it.
    private var isRefused = false
    private var isHead = false
    private var hasAnswer = false
    /// Of the body, while it is not whole.
    private var bodyBytes = 0
    /// What gRPC has behind an answer instead of before it.
    private var trailers: HTTPFields?
    private var isSlow = false
    private var timer: Scheduled<Void>?

    init(
        _ connection: HTTP2Connection, place: ConnectionRoom.Place, state: ServerState,
        refused: @escaping ConnectionGuard.Refusal
    ) {
        self.connection = connection
        self.place = place
        limits = place.limits
        self.state = state
        self.refused = refused
    }

    func handlerAdded(context: ChannelHandlerContext) {
        connection.opened(try? context.channel.syncOptions?.getOption(HTTP2StreamChannelOptions.streamID))
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        stopWaiting()
        releaseBody()
        connection.closed(at: turn, isSlow: isSlow)
    }

    // MARK: - What comes in

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        switch part {
        case .head(let request):
            isHead = request.method == .head
            if let refusal = place.refusal(of: request) {
                place.ends(.noPlace)
                isRefused = true
                tell(refusal, context)
            } else if request.headerFields[.expect]?.lowercased() == "100-continue" {
                context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
            }
        case .body(let bytes):
            guard state.streamedBodies.reserve(bytes.readableBytes, of: Self.bodies * limits.bodyBytes) else {
                return refuseBody(.busy("too many bodies are being received"), context)
            }
            bodyBytes += bytes.readableBytes
        case .end:
            isReading = false
            releaseBody()
            if !hasAnswer {
                stopWaiting()
                become(.server)
            }
        }
        if !isRefused { context.fireChannelRead(data) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if isReading, timer == nil {
            wait(limits.readTimeout, context) { stream in
                stream.place.ends(.slowBody)
                stream.refuseBody(
                    RequestError(
                        .requestTimeout, "request_timeout",
                        "the request did not arrive whole within \(stream.limits.readTimeout)"), context)
            }
        }
        context.fireChannelReadComplete()
    }

    /// The router is reading this body, and tells the client.
    private func refuseBody(_ reason: RequestError, _ context: ChannelHandlerContext) {
        context.fireErrorCaught(UnreadableBody(reason: reason))
    }

    private func releaseBody() {
        state.streamedBodies.release(bodyBytes)
        bodyBytes = 0
    }

    private func tell(_ error: RequestError, _ context: ChannelHandlerContext) {
        let identifier = RequestIdentifier.make()
        refused(error, identifier)
        let body = ByteBuffer(bytes: error.json.serialized())
        var head = HTTPResponse(
            status: error.status,
            headerFields: [
                .contentType: "application/json", .contentLength: "\(body.readableBytes)", .requestID: identifier,
            ])
        head.headerFields.append(contentsOf: error.headers)
        for part in [HTTPResponsePart.head(head), .body(body), .end(nil)] {
            write(context: context, data: wrapOutboundOut(part), promise: nil)
        }
        context.flush()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // The connection sees to a server that stops.
        if !(event is ChannelShouldQuiesceEvent) { context.fireUserInboundEventTriggered(event) }
    }

    // MARK: - What goes out

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var response):
            for name in [HTTPField.Name.grpcStatus, .grpcMessage] {
                guard let value = response.headerFields[name] else { continue }
                response.headerFields[name] = nil
                trailers = trailers ?? [:]
                trailers?[name] = value
            }
            hasAnswer = true
            become(.client)
            wait(limits.idleTimeout, context) { stream in
                stream.isSlow = true
                stream.place.ends(.slowReader)
                context.close(promise: nil)
            }
            context.write(wrapOutboundOut(.head(response)), promise: promise)
        case .body(let bytes):
            if isHead {
                promise?.succeed()
            } else {
                context.write(wrapOutboundOut(.body(bytes)), promise: promise)
            }
        case .end(let own):
            let sent = promise ?? context.eventLoop.makePromise()
            sent.futureResult.assumeIsolated().whenSuccess { [self] in
                stopWaiting()
                guard isReading else { return }
                wait(Self.lingerTime, context) { _ in
                    let reset = NIOHTTP2FramePayloadToHTTPEvent.reset(code: .noError)
                    context.triggerUserOutboundEvent(reset, promise: nil)
                }
            }
            context.write(wrapOutboundOut(.end(own ?? trailers)), promise: sent)
        }
    }

    // MARK: - Time

    private func become(_ turn: Turn) {
        guard turn != self.turn else { return }
        self.turn = turn
        connection.changed(to: turn)
    }

    private func wait(_ time: Duration, _ context: ChannelHandlerContext, _ late: @escaping (HTTP2Stream) -> Void) {
        stopWaiting()
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(time)) { [self] in late(self) }
    }

    private func stopWaiting() {
        timer?.cancel()
        timer = nil
    }
}

@available(*, unavailable)
extension HTTP2Stream: Sendable {}
