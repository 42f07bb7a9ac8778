import Foundation
import NIOCore
import NIOHTTP2

/// A connection in HTTP/2, behind NIO's own handler: its place among others, its idling, its end. Requests come by its streams,
/// each an `HTTP2Stream`; nothing that comes here goes any further.
final class HTTP2Connection: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    /// How many requests a client may have under way at once.
    private static let streams = 100
    /// How long a stopping server waits for a request that a client may just be sending.
    private static let drainTime = TimeAmount.milliseconds(100)

    private let place: ConnectionRoom.Place
    private let limits: ServerLimits
    private let state: ServerState
    private let refused: ConnectionGuard.Refusal

    /// The streams that are open, by whose turn it is.
    private var clientsTurn = 0
    private var serversTurn = 0
    private var lastStream = HTTP2StreamID.rootStream
    /// The client was told that no further stream will be answered.
    private var isLeaving = false
    /// A client that took an answer too slowly, and with it what else waits to be sent.
    private var isSlow = false
    private var context: ChannelHandlerContext?
    private var timer: Scheduled<Void>?

    init(place: ConnectionRoom.Place, state: ServerState, refused: @escaping ConnectionGuard.Refusal) {
        self.place = place
        limits = place.limits
        self.state = state
        self.refused = refused
    }

    /// NIO's handler, which goes before this one.
    ///
    /// - Parameter accept: makes a new stream's pipeline.
    func handler(on eventLoop: any EventLoop, accept: @escaping NIOChannelInitializer) -> NIOHTTP2Handler {
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = [
            // One that is there for one request may have no others meanwhile.
            HTTP2Setting(parameter: .maxConcurrentStreams, value: place.isExtra ? 1 : Self.streams),
            HTTP2Setting(parameter: .maxHeaderListSize, value: place.headBytes ?? 16 << 10),
        ]
        // What was still on its way to refused requests is none of a client's mistakes.
        connection.maximumRecentlyResetStreams = Self.streams
        // Go's client sends a ping with each answer that it reads: NIO's own limit of 200 in 30 s is soon met by it. Both limits
        // keep as many times as they count.
        connection.controlFrameRateLimit.maximumCount = 500
        connection.controlFrameRateLimit.windowLength = .milliseconds(25)
        // A client whose deadlines pass resets all its streams at once, and again.
        var stream = NIOHTTP2Handler.StreamConfiguration()
        stream.streamResetFrameRateLimit.maximumCount = 500
        stream.streamResetFrameRateLimit.windowLength = .seconds(1)
        return NIOHTTP2Handler(
            mode: .server, eventLoop: eventLoop, connectionConfiguration: connection, streamConfiguration: stream,
            inboundStreamInitializer: accept)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        state.connectionOpened()
        update()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        state.connectionClosed()
        timer?.cancel()
        self.context = nil
    }

    // MARK: - What its streams say

    /// A new stream, whose request is being read.
    func opened(_ stream: HTTP2StreamID?) {
        if let stream { lastStream = max(lastStream, stream) }
        clientsTurn += 1
        update()
    }

    func changed(to turn: HTTP2Stream.Turn) {
        clientsTurn += turn == .client ? 1 : -1
        serversTurn += turn == .server ? 1 : -1
        update()
    }

    /// - Parameter isSlow: its answer was not taken in time.
    func closed(at turn: HTTP2Stream.Turn, isSlow: Bool) {
        if turn == .client { clientsTurn -= 1 } else { serversTurn -= 1 }
        if isSlow { self.isSlow = true }
        if place.isExtra { leave() } else { update() }
    }

    private func update() {
        place.waits(for: serversTurn > 0 ? nil : clientsTurn > 0 ? .transfer : .request)
        timer?.cancel()
        timer = nil
        guard clientsTurn + serversTurn == 0, let context else { return }
        // What the last stream has written is flushed before its connection closes.
        let time = isLeaving ? .zero : TimeAmount(limits.idleTimeout)
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: time) { [self] in
            if isLeaving { return close() }
            place.ends(.idle)
            leave()
        }
    }

    // MARK: - Its end

    /// Tells the client which of its streams is the last that is answered, and closes behind it.
    private func leave() {
        guard !isLeaving, let context else { return }
        isLeaving = true
        goAway(lastStream, context)
        update()
    }

    private func goAway(_ last: HTTP2StreamID, _ context: ChannelHandlerContext) {
        let payload = HTTP2Frame.FramePayload.goAway(lastStreamID: last, errorCode: .noError, opaqueData: nil)
        context.writeAndFlush(wrapOutboundOut(HTTP2Frame(streamID: .rootStream, payload: payload)), promise: nil)
    }

    private func close() {
        guard let context else { return }
        if isSlow, let socket = context.channel as? any SocketOptionProvider {
            // What its client has not taken is not kept by the system either, which would for minutes.
            _ = socket.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        }
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed: close()
        case is ChannelShouldQuiesceEvent:
            state.stop()
            // Nothing is refused yet: a request may be on its way.
            goAway(.maxID, context)
            context.eventLoop.assumeIsolated().scheduleTask(in: Self.drainTime) { [self] in leave() }
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    /// What is not well-formed ends the connection, as in HTTP/1.1; NIO has told the client why. A stream that was begun before
    /// its client knew of the end is refused, and no mistake.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is NIOHTTP2Errors.StreamError { return }
        if error is any NIOHTTP2Error {
            refused(
                RequestError(.badRequest, "bad_request", "the connection is not well-formed HTTP/2: \(error)"),
                RequestIdentifier.make())
        }
        close()
    }

    /// Settings, pings and priorities, which NIO sees to.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
}

@available(*, unavailable)
extension HTTP2Connection: Sendable {}
