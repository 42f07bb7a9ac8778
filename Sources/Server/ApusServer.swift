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
        do {
            try await application.runService()
        } catch let error as IOError {
            throw InputError("\(host):\(port)", "cannot be listened on: \(error.description). Choose another with --port")
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

    private func router() -> Router<BasicRequestContext> {
        let router = Router()
        router.add(middleware: RequestIdentifier())
        router.add(middleware: ErrorAnswers(logger: logger))
        let predict: @Sendable (Request, BasicRequestContext) async throws -> Response = { request, _ in
            try await self.predict(request)
        }
        let routes: [(method: HTTPRequest.Method, path: RouterPath, @Sendable (Request, BasicRequestContext) async throws -> Response)] = [
            (.post, "/predict", predict),
            (.post, "/", predict),
            (.get, "/status", { _, _ in .json(status.current) }),
            (.get, "/health/live", { _, _ in .json(["status": "live"]) }),
            (.get, "/health/ready", { _, _ in .json(["status": "ready"]) }),
        ]
        for (method, path, handler) in routes {
            router.on(path, method: method, use: handler)
            // A GET route answers HEAD too, without the body, which the server leaves out.
            if method == .get { router.on(path, method: .head, use: handler) }
        }
        for (path, rows) in Dictionary(grouping: routes, by: { "\($0.path)" }) {
            let allowed = rows.map(\.method.rawValue) + (rows.contains { $0.method == .get } ? ["HEAD"] : [])
            let others: [HTTPRequest.Method] = [.get, .head, .post, .put, .patch, .delete, .options, .trace]
            for method in others where !allowed.contains(method.rawValue) {
                router.on(RouterPath(path), method: method) { _, _ -> Response in
                    var error = RequestError(
                        .methodNotAllowed, "method_not_allowed",
                        "\(method) is not allowed on \(path); use \(allowed.joined(separator: " or "))")
                    error.headers[.allow] = allowed.joined(separator: ", ")
                    throw error
                }
            }
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
        }
        let body = try PredictRequest(body: Array(buffer.readableBytesView), limits: limits)
        let started = ContinuousClock.now
        var encodings: [Encoding] = []
        for (index, text) in body.texts.enumerated() { encodings.append(try encode(text, body, index)) }
        let tokenize = (ContinuousClock.now - started) / .milliseconds(1)
        var (predictions, timing) = try await queue.predict(encodings)
        timing.tokenize = tokenize
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
