import NIOCore

/// The first handler of a connection in HTTP/1.1: where what a client sends begins as HTTP/2 does (RFC 9113, 3.4), it changes
/// the connection over to that; else it leaves.
final class HTTP2Preface: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    /// What came and may yet become the preface.
    private var held = ByteBuffer()
    private let changeOver: (ChannelHandlerContext) throws -> Void

    /// - Parameter changeOver: puts HTTP/2's handlers in the place of HTTP/1.1's, right behind this one.
    init(changeOver: @escaping (ChannelHandlerContext) throws -> Void) { self.changeOver = changeOver }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if held.readableBytes == 0 { held = bytes } else { held.writeBuffer(&bytes) }
        let start = held.readableBytesView.prefix(Self.preface.count)
        if Self.preface.starts(with: start) {
            guard start.count == Self.preface.count else { return }
            do {
                try changeOver(context)
            } catch {
                return context.close(promise: nil)
            }
        }
        pass(context)
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // It will never be more than a part of a request.
        if case ChannelEvent.inputClosed = event, held.readableBytes > 0 { pass(context) }
        context.fireUserInboundEventTriggered(event)
    }

    private func pass(_ context: ChannelHandlerContext) {
        context.fireChannelRead(wrapInboundOut(held))
        held = ByteBuffer()
    }
}

@available(*, unavailable)
extension HTTP2Preface: Sendable {}
