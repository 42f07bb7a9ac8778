import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// Stands between a socket's HTTP and the router, and sees to what a router never sees: requests that do not arrive in time,
/// that are no HTTP, that ask whether to go on; clients that hang up; connections that are to end.
///
/// It also turns HTTP/1's types into HTTP's and back, which costs nothing here and a handler elsewhere.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// How long a stopping server waits for a request that an idle client may just be sending.
    private static let drainTime = Duration.milliseconds(100)
    /// How long a client may go on sending after the connection's last answer, so that it gets to read that answer.
    private static let lingerTime = Duration.seconds(2)

    private enum Phase {
        /// Nothing asked, nothing owed.
        case idle
        /// A part of a request is here.
        case reading
        /// A whole request is here, and its answer is being made.
        case answering
        /// An answer waits for a client that does not take it.
        case sending
        /// The last answer is out.
        case ending
    }

    private let place: ConnectionRoom.Place
    private let limits: ServerLimits
    private let state: ServerState
    private let refused: Refusal
    private let door: Door
    private let refusals: Refusals

    /// Requests whose head came, and requests that were answered.
    private var begun = 0
    private var answered = 0
    /// Which of the requests between are HEAD: their answers have no body.
    private var headRequests: Set<Int> = []
    /// The head came, the end did not.
    private var isReading = false
    /// The answer to the request that is being read, which nobody else sees.
    private var refusal: (head: HTTPResponse, body: ByteBuffer)?
    private var hasPartialHead = false
    private var readParts = false
    /// Answers that are made and not yet sent to the last byte.
    private var unsent = 0
    /// The output is to be closed when they are.
    private var closesOutput = false
    private var closePromise: EventLoopPromise<Void>?
    /// The client waits to be told to send its body, behind answers to earlier requests.
    private var invites = false
    /// Nothing that follows this request is HTTP/1.1: the parser reads no further, and so must the socket.
    private var isUpgrade = false
    /// This request offers HTTP/2, which is declined by an answer in HTTP/1.1; what follows is HTTP/1.1 again.
    private var offersHTTP2 = false
    private var parser: ByteToMessageHandler<HTTPRequestDecoder>
    /// Interim answers are understood, and connections kept open without asking.
    private var isHTTP11 = true
    /// The connection ends after so many answers.
    private var lastAnswer = Int.max
    /// What makes the rest of the input unreadable; told once all answers before it are out.
    private var failure: RequestError?
    private var isEnding = false
    /// How often such a connection is still read from: a read takes some 64 KB.
    private var lingeringReads = 32

    private var phase = Phase.ending
    private var isAnswering = false {
        didSet {
            if isAnswering, !oldValue { state.answerBegun() }
            if !isAnswering, oldValue { state.answerEnded() }
        }
    }
    private var deadline: NIODeadline?
    private var timer: (due: NIODeadline, task: Scheduled<Void>)?

    /// Told of every error that is answered here, with the answer's id.
    typealias Refusal = @Sendable (_ error: RequestError, _ identifier: String) -> Void

    /// - Parameter parser: the connection's, before this handler.
    init(
        _ parser: ByteToMessageHandler<HTTPRequestDecoder>, place: ConnectionRoom.Place, door: Door, state: ServerState,
        refusals: Refusals, refused: @escaping Refusal
    ) {
        self.parser = parser
        self.place = place
        limits = place.limits
        self.state = state
        self.door = door
        self.refusals = refusals
        self.refused = refused
    }

    func handlerAdded(context: ChannelHandlerContext) {
        state.connectionOpened()
        update(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        state.connectionClosed()
        isAnswering = false
        timer?.task.cancel()
        timer = nil
    }

    // MARK: - What comes in

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        readParts = true
        if isEnding || failure != nil { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            if begun >= lastAnswer { return }
            guard let request = request(head, context) else { return }
            if let refusal = place.refusal(of: request) {
                place.ends(.noPlace)
                return fail(refusal, context)
            }
            begun += 1
            isReading = true
            hasPartialHead = false
            if head.method == .HEAD { headRequests.insert(begun) }
            isHTTP11 = head.version == .http1_1
            offersHTTP2 = Self.offersHTTP2(head)
            isUpgrade = head.method == .CONNECT || head.headers.contains(name: "upgrade") && !offersHTTP2
            if !head.isKeepAlive || isUpgrade || place.isExtra || state.isStopping { lastAnswer = min(lastAnswer, begun) }
            // Who was refused before waits for a place; the router sees to that.
            if begun == answered + 1, refusals.since == nil, !isUpgrade, !offersHTTP2 { refusal = door.refusal(of: request) }
            if refusal != nil { return }
            invites = wantsInvitation(head)
            inviteWhenFree(context)
            context.fireChannelRead(wrapInboundOut(.head(request)))
        case .body(let bytes):
            guard isReading, refusal == nil else { return }
            context.fireChannelRead(wrapInboundOut(.body(bytes)))
        case .end(let trailers):
            guard isReading else { return }
            isReading = false
            if refusal != nil { return refuse(context) }
            invites = false
            // Where the parser has stopped, what comes would only pile up.
            if isUpgrade { try? context.channel.syncOptions?.setOption(.autoRead, value: false) }
            if offersHTTP2 { renewParser(context) }
            update(context)
            context.fireChannelRead(wrapInboundOut(.end(trailers.map { HTTPFields($0, splitCookie: false) })))
        }
    }

    /// A head that the parser let pass and RFC 9112 does not is refused: what stands before this server might read another
    /// request from it.
    private func request(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) -> HTTPRequest? {
        let problem: String
        let codings = head.headers["transfer-encoding"]
        if head.version == .http1_1, head.headers["host"].count != 1 {
            problem = "it has \(head.headers["host"].count) Host headers, and needs one"
        } else if !codings.isEmpty, head.version != .http1_1 || codings.map({ $0.lowercased() }) != ["chunked"] {
            problem =
                "its Transfer-Encoding is \(codings.joined(separator: ", ")), and only chunked is supported, in HTTP/1.1"
        } else if let request = try? HTTPRequest(head, secure: false, splitCookie: false) {
            return request
        } else {
            problem = "its method or path cannot be read"
        }
        fail(RequestError(.badRequest, "bad_request", "the request is not well-formed HTTP/1.1: \(problem)"), context)
        return nil
    }

    /// Whether HTTP/2 is offered just as curl and Java's client do it (RFC 7540, 3.2). The parser stops behind such a request, and
    /// a new one may take its place: it stops behind none but these, so no other form is taken for one.
    private static func offersHTTP2(_ head: HTTPRequestHead) -> Bool {
        let connection = head.headers["connection"]
        guard head.version == .http1_1, head.method != .CONNECT, connection.count == 1,
            head.headers["upgrade"].map({ $0.lowercased() }) == ["h2c"]
        else { return false }
        let options = connection[0].split(separator: ",", omittingEmptySubsequences: false)
            .map { $0.drop { $0 == " " }.lowercased() }
        let known: Set = ["upgrade", "http2-settings", "keep-alive"]
        return options.contains("upgrade") && known.isSuperset(of: options)
    }

    /// Puts a new parser behind the one that has stopped, which leaves, and leaves to it what came behind the offer.
    private func renewParser(_ context: ChannelHandlerContext) {
        offersHTTP2 = false
        let pipeline = context.pipeline.syncOperations
        let (stopped, new) = (parser, HTTPConnection.parser(headBytes: place.headBytes))
        do {
            try pipeline.addHandler(new, position: .after(stopped))
        } catch {
            return context.close(promise: nil)
        }
        parser = new
        pipeline.removeHandler(stopped).assumeIsolated().whenComplete { [self] _ in
            // What was left was read long ago, but nobody has told the next handler that it is all for now.
            guard readParts else { return }
            readParts = false
            update(context)
            context.fireChannelReadComplete()
        }
    }

    /// `Expect: 100-continue`: a client that asks whether its body is welcome is told so, unless it is too large.
    private func wantsInvitation(_ head: HTTPRequestHead) -> Bool {
        let length = head.headers.first(name: "content-length").map { Int($0) ?? .max } ?? 0
        return head.headers["expect"].contains { $0.lowercased() == "100-continue" } && length <= limits.bodyBytes
    }

    private func inviteWhenFree(_ context: ChannelHandlerContext) {
        guard invites, begun == answered + 1 else { return }
        invites = false
        sendContinue(context)
    }

    private func sendContinue(_ context: ChannelHandlerContext) {
        guard isHTTP11 else { return }
        context.writeAndFlush(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if !readParts, begun == answered, !isReading { hasPartialHead = true }
        readParts = false
        // The rest of the body is not waited for.
        if refusal != nil { refuse(context) }
        update(context)
        context.fireChannelReadComplete()
        if isEnding { readOn(context) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The parser complains of every byte behind the first wrong one; a body that is refused may be anything.
        if isEnding || failure != nil || refusal != nil { return }
        guard let error = error as? HTTPParserError else { return context.fireErrorCaught(error) }
        let reason = RequestError(
            error == .headerOverflow ? .requestHeaderFieldsTooLarge : .badRequest, "bad_request",
            "the request is not well-formed HTTP/1.1: \(error)")
        if isReading, begun == answered + 1 {
            refuseBody(reason, context)
        } else {
            fail(reason, context)
        }
    }

    private func refuse(_ context: ChannelHandlerContext) {
        guard let (head, body) = refusal else { return }
        refusal = nil
        write(context: context, data: NIOAny(HTTPResponsePart.head(head)), promise: nil)
        write(context: context, data: NIOAny(HTTPResponsePart.body(body)), promise: nil)
        write(context: context, data: NIOAny(HTTPResponsePart.end(nil)), promise: nil)
        context.flush()
    }

    /// The router is reading this body, and tells the client.
    private func refuseBody(_ reason: RequestError, _ context: ChannelHandlerContext) {
        lastAnswer = begun
        context.fireErrorCaught(UnreadableBody(reason: reason))
    }

    /// Ends the connection with an answer of its own, behind those that are still to come.
    private func fail(_ error: RequestError, _ context: ChannelHandlerContext) {
        failure = error
        if answered == begun { tellFailure(error, context) }
    }

    private func tellFailure(_ error: RequestError, _ context: ChannelHandlerContext) {
        let identifier = RequestIdentifier.make()
        refused(error, identifier)
        let body = ByteBuffer(bytes: error.json.serialized())
        var headers: HTTPHeaders = [
            "content-type": "application/json", "content-length": "\(body.readableBytes)", "connection": "close",
            "server": "apus", "x-request-id": identifier, "server-timing": ServerTiming().header,
        ]
        for field in error.headers { headers.add(name: field.name.rawName, value: field.value) }
        let status = HTTPResponseStatus(statusCode: error.status.code, reasonPhrase: error.status.reasonPhrase)
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers))), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        end(context, with: wrapOutboundOut(.end(nil)))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            // Either the client has shut its half down and listens, or it is gone. An interim answer, which every HTTP/1.1
            // client skips, shows which: the system of one that is gone refuses it, and the connection breaks.
            if phase == .answering { sendContinue(context) }
            if isEnding { context.close(promise: nil) }
            context.fireUserInboundEventTriggered(event)
        case is ChannelShouldQuiesceEvent:
            state.stop()
            lastAnswer = min(lastAnswer, max(begun, answered + 1))
            if phase == .idle { wait(Self.drainTime, context) }
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    // MARK: - What goes out

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if isEnding {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        switch unwrapOutboundIn(data) {
        case .head(let response):
            var head = HTTPResponseHead(response)
            refusals.note(response.status.code)
            if state.isStopping { lastAnswer = min(lastAnswer, max(begun, answered + 1)) }
            // An answer to what did not come whole: the rest is not waited for.
            if isReading, begun == answered + 1 { lastAnswer = begun }
            if answered + 1 >= lastAnswer {
                head.headers.replaceOrAdd(name: "connection", value: "close")
            } else if !isHTTP11 {
                head.headers.replaceOrAdd(name: "connection", value: "keep-alive")
            }
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body(let bytes):
            if headRequests.contains(answered + 1) {
                promise?.succeed()
            } else {
                context.write(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: promise)
            }
        case .end(let trailers):
            answered += 1
            headRequests.remove(answered)
            let part = wrapOutboundOut(.end(trailers.map { HTTPHeaders($0) }))
            if answered >= lastAnswer { return end(context, with: part, promise) }
            unsent += 1
            let sent = promise ?? context.eventLoop.makePromise()
            sent.futureResult.assumeIsolated().whenComplete { [self] _ in wasSent(context) }
            context.write(part, promise: sent)
            if let failure {
                if answered == begun { return tellFailure(failure, context) }
                if isReading, begun == answered + 1 { refuseBody(failure, context) }
            }
            inviteWhenFree(context)
            update(context)
        }
    }

    /// Takes some more of what a client sends that will get no further answer: it is thrown away.
    private func readOn(_ context: ChannelHandlerContext) {
        guard lingeringReads > 0 else { return }
        lingeringReads -= 1
        context.read()
    }

    private func wasSent(_ context: ChannelHandlerContext) {
        unsent -= 1
        // Each answer that a slow client takes gives it new time for the next one.
        if phase == .sending { phase = .answering }
        update(context)
        if unsent == 0, closesOutput { context.close(mode: .output, promise: closePromise) }
    }

    /// The output is not closed upon an answer that waits to be sent: NIO would throw the rest of it away.
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode == .output, unsent > 0 else {
            if mode == .all { abandonAnswers(context) }
            return context.close(mode: mode, promise: promise)
        }
        closesOutput = true
        closePromise = promise
    }

    /// What a client has not taken of its answers is not kept by the system either, which would for minutes.
    private func abandonAnswers(_ context: ChannelHandlerContext) {
        guard unsent > 0, let socket = context.channel as? any SocketOptionProvider else { return }
        _ = socket.setSoLinger(linger(l_onoff: 1, l_linger: 0))
    }

    /// Ends the connection once all is written: at once where the client has nothing more to say, else after a while, as a
    /// socket that is closed upon unread bytes would take back what it has sent.
    private func end(_ context: ChannelHandlerContext, with part: NIOAny, _ promise: EventLoopPromise<Void>? = nil) {
        guard !isEnding else { return }
        isEnding = true
        let mayStillSend = isReading || failure != nil
        begin(.ending)
        try? context.channel.syncOptions?.setOption(.autoRead, value: false)
        readOn(context)
        wait(limits.idleTimeout, context)
        unsent += 1
        let written = promise ?? context.eventLoop.makePromise()
        written.futureResult.assumeIsolated().whenComplete { [self] _ in
            unsent -= 1
            context.close(mode: mayStillSend ? .output : .all, promise: closePromise)
            if mayStillSend { wait(Self.lingerTime, context) }
        }
        context.writeAndFlush(part, promise: written)
    }

    // MARK: - Time

    private var currentPhase: Phase {
        if isEnding { return .ending }
        if unsent > 0 { return .sending }
        if isReading, begun == answered + 1 { return .reading }
        if begun > answered { return .answering }
        return hasPartialHead ? .reading : .idle
    }

    /// Sets the time that the phase may take, where it is a new one.
    private func update(_ context: ChannelHandlerContext) {
        let current = currentPhase
        guard current != phase else { return }
        begin(current)
        switch current {
        case .idle: wait(state.isStopping ? Self.drainTime : limits.idleTimeout, context)
        case .reading: wait(limits.readTimeout, context)
        case .sending: wait(limits.idleTimeout, context)
        case .answering: deadline = nil  // which the queue sees to
        case .ending: break
        }
    }

    private func begin(_ phase: Phase) {
        self.phase = phase
        isAnswering = phase == .answering
        switch phase {
        case .idle: place.waits(for: .request)
        case .reading, .sending, .ending: place.waits(for: .transfer)
        case .answering: place.waits(for: nil)
        }
    }

    private func wait(_ time: Duration, _ context: ChannelHandlerContext) {
        let due = NIODeadline.now() + TimeAmount(time)
        deadline = due
        schedule(due, context)
    }

    /// A timer that fires too early looks at the deadline again, so that most requests touch no timer.
    private func schedule(_ due: NIODeadline, _ context: ChannelHandlerContext) {
        if let timer, timer.due <= due { return }
        timer?.task.cancel()
        let task = context.eventLoop.assumeIsolated().scheduleTask(deadline: due) { [self] in
            timer = nil
            guard let deadline else { return }
            if NIODeadline.now() < deadline { schedule(deadline, context) } else { timeOut(context) }
        }
        timer = (due, task)
    }

    private func timeOut(_ context: ChannelHandlerContext) {
        deadline = nil
        switch phase {
        case .idle: place.ends(.idle)
        case .reading: return refuseLateRequest(context)
        case .sending, .ending: if unsent > 0 { place.ends(.slowReader) }
        case .answering: return
        }
        abandonAnswers(context)
        context.close(promise: nil)
    }

    private func refuseLateRequest(_ context: ChannelHandlerContext) {
        place.ends(isReading ? .slowBody : .slowHead)
        let late = RequestError(
            .requestTimeout, "request_timeout",
            "the request did not arrive whole within \(limits.readTimeout)")
        if begun == answered { fail(late, context) } else { refuseBody(late, context) }
    }
}

/// A body that cannot be read on, and what its client is told.
struct UnreadableBody: Error {
    let reason: RequestError
}

@available(*, unavailable)
extension ConnectionGuard: Sendable {}
