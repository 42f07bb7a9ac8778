import Engine
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle

/// The HTTP server of one model: `POST /predict`, `GET /status`, `GET /health/…`.
public struct ApusServer: Sendable {
    let classifier: Classifier
    let limits: ServerLimits
    let logger: Logger
    private let queue: InferenceQueue
    private let status: StatusReport

    public init(
        classifier: Classifier, limits: ServerLimits = ServerLimits(), logger: Logger = Logger(label: "apus")
    ) {
        self.classifier = classifier
        self.limits = limits
        self.logger = logger
        queue = InferenceQueue(classifier)
        status = StatusReport(classifier, limits: limits)
    }

    /// Serves until SIGTERM or SIGINT, then finishes what was accepted. `port` 0 takes a free one.
    public func run(host: String, port: Int) async throws {
        let application = application(host: host, port: port) { port in
            logger.info(
                "serving",
                metadata: [
                    "url": "http://\(host):\(port)", "model": "\(classifier.directory.name)",
                    "isa": "\(classifier.instructionSet.name)", "threads": "\(classifier.threads)",
                ])
        }
        var configuration = ServiceGroupConfiguration(
            services: [application], gracefulShutdownSignals: [.sigterm, .sigint], logger: application.logger)
        // A client that stops in the middle of its request must not keep the server from leaving.
        configuration.maximumGracefulShutdownDuration = .seconds(10)
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch let error as IOError {
            throw InputError("\(host):\(port)", "cannot be listened on: \(error.description). Choose another with --port")
        } catch let error as SocketAddressError.UnknownHost {
            throw InputError("--host \(host)", "is not an address of this machine: \(error)")
        }
    }

    /// - Parameter onRunning: gets the port that is open.
    package func application(
        host: String = "127.0.0.1", port: Int = 0, onRunning: @escaping @Sendable (Int) -> Void = { _ in }
    ) -> some ApplicationProtocol {
        var logger = logger
        // Hummingbird and the lifecycle log every step of a start and a stop.
        logger.logLevel = max(logger.logLevel, .notice)
        return Application(
            responder: router().buildResponder(),
            configuration: .init(address: .hostname(host, port: port), serverName: "apus"),
            onServerRunning: { onRunning($0.localAddress?.port ?? port) }, logger: logger)
    }

    private typealias Handler = @Sendable (Request, BasicRequestContext) async throws -> Response

    private func router() -> Router<BasicRequestContext> {
        let router = Router()
        let predict: Handler = { request, _ in try await self.predict(request) }
        let routes: [(method: HTTPRequest.Method, path: String, handler: Handler)] = [
            (.post, "/predict", predict),
            (.post, "/", predict),
            (.get, "/status", { _, _ in .json(status.current) }),
            (.get, "/health/live", { _, _ in .json(["status": "live"]) }),
            (.get, "/health/ready", { _, _ in .json(["status": "ready"]) }),
        ]
        router.add(middleware: AnswerHeaders())
        router.add(
            middleware: ErrorAnswers(
                allowedMethods: Dictionary(grouping: routes, by: \.path).mapValues { rows in
                    rows.flatMap { $0.method == .get ? ["GET", "HEAD"] : [$0.method.rawValue] }
                }, logger: logger))
        for (method, path, handler) in routes {
            router.on(RouterPath(path), method: method, use: handler)
            // A GET route answers HEAD too, without the body, which the server leaves out.
            if method == .get { router.on(RouterPath(path), method: .head, use: handler) }
        }
        return router
    }

    private func predict(_ request: Request) async throws -> Response {
        if let type = request.headers[.contentType], !Self.isJSON(type) {
            throw RequestError(
                .unsupportedMediaType, "unsupported_media_type",
                "Content-Type is \(type); send application/json (curl: --json, or -H 'Content-Type: application/json')")
        }
        let tooLarge = RequestError(
            .contentTooLarge, "body_too_large", "the body is larger than the limit of \(limits.bodyBytes) bytes")
        if let length = request.headers[.contentLength].flatMap(Int.init), length > limits.bodyBytes { throw tooLarge }
        let buffer: ByteBuffer
        do {
            buffer = try await request.body.collect(upTo: limits.bodyBytes)
        } catch is NIOTooManyBytesError {
            throw tooLarge
        } catch {
            throw RequestError(.badRequest, "incomplete_body", "the body ended before its length")
        }
        let body = try PredictRequest(body: Array(buffer.readableBytesView), limits: limits)
        let (predictions, timing) = try await queue.predict {
            try body.texts.enumerated().map { try encode($1, body, $0) }
        }
        var response = Response.json(body.answer(predictions))
        response.headers[.serverTiming] = timing.header
        return response
    }

    private func encode(_ text: String, _ body: PredictRequest, _ index: Int) throws(RequestError) -> Encoding {
        let encoding: Encoding
        do {
            encoding = try classifier.tokenizer.encode(text, index: index)
        } catch {
            throw .invalid("field \"\(body.field(index))\" \(error.problem)")
        }
        if !body.truncates, encoding.isTruncated {
            throw .invalid(
                "field \"\(body.field(index))\" has \(encoding.untruncatedCount) tokens; the limit is "
                    + "\(encoding.ids.count). Shorten it, or leave \"truncate\": false out")
        }
        return encoding
    }

    private static func isJSON(_ contentType: String) -> Bool {
        let type = contentType.prefix { $0 != ";" }.trimmingPrefix(" ").lowercased()
        let name = type.last == " " ? String(type.dropLast()) : type
        return name == "application/json" || name.hasSuffix("+json")
    }
}

extension HTTPField.Name {
    package static let serverTiming = Self("Server-Timing")!
    package static let requestID = Self("X-Request-Id")!
}

extension InferenceQueue.Timing {
    /// Milliseconds with three decimals.
    var header: String {
        func decimals(_ value: Double) -> String {
            let thousandths = Int((value * 1000).rounded())
            let fraction = String(thousandths % 1000)
            return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
        }
        return "tokenize;dur=\(decimals(tokenize)), queue;dur=\(decimals(queue)), infer;dur=\(decimals(infer))"
    }
}
