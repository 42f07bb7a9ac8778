import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOHTTPTypes
import NIOHTTPTypesHTTP2
import Synchronization

/// How an accepted connection is served: HTTP/1.1 behind a `ConnectionGuard`, or, where its client begins with that, HTTP/2
/// behind an `HTTP2Connection`; on the socket's own event loop.
struct HTTPConnection: HTTPChannelHandler {
    /// One that was accepted. A server that stops may drop it before it is handled; it is closed then, where NIO by itself would
    /// end the process.
    final class Value: ServerChildChannelValue {
        fileprivate let asyncChannel: NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>
        fileprivate let refusals: Refusals
        private let isTaken = Atomic(false)

        fileprivate init(_ asyncChannel: NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>, _ refusals: Refusals) {
            self.asyncChannel = asyncChannel
            self.refusals = refusals
        }

        var channel: any Channel { asyncChannel.channel }

        /// For whoever handles, and so closes, it.
        fileprivate func take() -> NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart> {
            isTaken.store(true, ordering: .relaxed)
            return asyncChannel
        }

        deinit {
            guard !isTaken.load(ordering: .relaxed) else { return }
            Task { [asyncChannel] in try? await asyncChannel.executeThenClose { _, _ in } }
        }
    }

    /// Linux takes twice that, for its own bookkeeping.
    private static let sendBufferBytes: SocketOptionValue = 128 << 10

    let responder: Responder
    let room: ConnectionRoom
    let door: Door
    let state: ServerState
    let refused: ConnectionGuard.Refusal
    let executors: [ObjectIdentifier: EventLoopExecutor]

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            // Left to itself, the system keeps some megabytes for each client that does not read its answer.
            try channel.syncOptions?.setOption(.socketOption(.so_sndbuf), value: Self.sendBufferBytes)
            let pipeline = channel.pipeline.syncOperations
            // One request at a time is read from the channel below: pipelining needs no handler of its own.
            let place = room.enter(channel)
            let parser = Self.parser(headBytes: place.headBytes)
            let encoder = HTTPResponseEncoder()
            let refusals = Refusals()
            let connectionGuard = ConnectionGuard(
                parser, place: place, door: door, state: state, refusals: refusals, refused: refused)
            let preface = HTTP2Preface { context in
                try addHTTP2(context, place, logger)
                for handler in [encoder, parser, connectionGuard] as [any RemovableChannelHandler] {
                    context.pipeline.syncOperations.removeHandler(handler).assumeIsolated().whenFailure { _ in
                        context.close(promise: nil)
                    }
                }
            }
            try pipeline.addHandlers([preface, encoder, parser, connectionGuard])
            return Value(
                try NIOAsyncChannel(
                    wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true)),
                refusals)
        }
    }

    /// Puts HTTP/2 behind a connection's first handler. Each of its streams is served as a connection of its own, by a task that
    /// ends with it.
    private func addHTTP2(_ context: ChannelHandlerContext, _ place: ConnectionRoom.Place, _ logger: Logger) throws {
        let pipeline = context.pipeline.syncOperations
        let connection = HTTP2Connection(place: place, state: state, refused: refused)
        let bound = NIOLoopBound(connection, eventLoop: context.eventLoop)
        let handler = connection.handler(on: context.eventLoop) { channel in
            channel.eventLoop.makeCompletedFuture {
                let stream = HTTP2Stream(bound.value, place: place, state: state, refused: refused)
                try channel.pipeline.syncOperations.addHandlers([HTTP2FramePayloadToHTTPServerCodec(), stream])
                let asyncChannel = try NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>(
                    wrappingChannelSynchronously: channel)
                Task(executorPreference: executors[ObjectIdentifier(channel.eventLoop)]) {
                    await handleHTTP(asyncChannel: asyncChannel, logger: logger)
                }
            }
        }
        try pipeline.addHandlers([handler, connection], position: .after(context.handler))
    }

    /// Reads a connection's requests, up to one that offers another protocol; what follows that is handed on as it is.
    ///
    /// - Parameter headBytes: the largest head; nil for the usual limits.
    static func parser(headBytes: Int?) -> ByteToMessageHandler<HTTPRequestDecoder> {
        var header = NIOHTTPDecoderLimitConfiguration()
        header.maxHeaderFieldSize = 16 << 10
        header.maxHeaderListSize = 64 << 10
        header.maxHeaderFieldCount = 200
        if let headBytes { (header.maxHeaderFieldSize, header.maxHeaderListSize) = (headBytes, headBytes) }
        return ByteToMessageHandler(
            HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: header))
    }

    func handle(value: Value, logger: Logger) async {
        let executor = executors[ObjectIdentifier(value.channel.eventLoop)]
        await withTaskExecutorPreference(executor) {
            await Refusals.$current.withValue(value.refusals) {
                await handleHTTP(asyncChannel: value.take(), logger: logger)
            }
        }
    }
}
