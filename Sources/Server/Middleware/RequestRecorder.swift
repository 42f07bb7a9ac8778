import HTTPTypes
import Hummingbird
import Logging

/// Around everything else: the headers that every answer has, its figures, and its line in the log.
package struct RequestRecorder: RouterMiddleware {
    let routes: RouteTable
    let metrics: ServerMetrics
    let logger: Logger

    package func handle(
        _ request: Request, context: ApusRequestContext, next: (Request, ApusRequestContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        metrics.requestStarted()
        let identifier = RequestIdentifier.accepted(request.headers[.requestID]) ?? RequestIdentifier.make()
        let trace = TraceContext(request.headers[.traceParent])
        context.facts.values.withLock { ($0.identifier, $0.trace) = (identifier, trace) }
        // Every error is an answer by then.
        var response = try await next(request, context)
        let facts = context.facts.values.withLock { $0 }
        response.headers[.requestID] = identifier
        response.headers[.serverTiming] = facts.timing.header
        if let model = facts.model { response.headers[.apusModel] = model }
        if let trace {
            response.headers[.traceParent] = trace.header
            response.headers[.traceState] = request.headers[.traceState]
        }
        let took = ContinuousClock.now - start
        let route = routes.route(of: request, context)
        // A POST is work, to whoever reads the figures; gRPC's probes are none.
        let isProbe = request.method == .post && route?.isQuiet ?? false
        metrics.requestEnded(
            handler: route?.pattern ?? "other",
            method: routes.methods.contains(request.method) && !isProbe ? request.method.rawValue : "other",
            status: facts.status ?? response.status.code, error: facts.error, took: took)
        log(request, response, facts, took, isQuiet: route?.isQuiet ?? false)
        return response
    }

    private func log(
        _ request: Request, _ response: Response, _ facts: RequestFacts.Values, _ took: Duration, isQuiet: Bool
    ) {
        let status = facts.status ?? response.status.code
        // A full queue turns away thousands in a second: they are counted, and would only bury the other lines.
        let isRoutine = isQuiet || status == HTTPResponse.Status.tooManyRequests.code
        let level: Logger.Level = status >= 500 ? .warning : isRoutine ? .debug : .info
        guard logger.logLevel <= level else { return }
        var metadata = facts.names
        metadata["method"] = .string(request.method.rawValue)
        metadata["path"] = .string(request.uri.path)
        metadata["status"] = .stringConvertible(status)
        metadata["duration_ms"] = .stringConvertible((took / .microseconds(1)).rounded() / 1000)
        if let error = facts.error { metadata["error"] = .string(error) }
        if let model = facts.model { metadata["model"] = .string(model) }
        if let texts = facts.texts { metadata["texts"] = .stringConvertible(texts) }
        if let tokens = facts.tokens { metadata["tokens"] = .stringConvertible(tokens) }
        logger.log(level: level, "request", metadata: metadata)
    }
}
