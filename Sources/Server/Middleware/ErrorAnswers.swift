import Hummingbird
import Logging

/// Turns every error into the one form that errors have; under `/v2`, into the protocol's; of a call, into gRPC's.
struct ErrorAnswers: RouterMiddleware {
    let routes: RouteTable
    let logger: Logger

    func handle(
        _ request: Request, context: ApusRequestContext, next: (Request, ApusRequestContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch {
            let error = answer(to: error, request, context)
            context.facts.values.withLock { $0.error = error.type }
            if GRPC.isCall(request) {
                context.facts.values.withLock { $0.status = error.status.code }
                return GRPC.response(error, isMethod: routes.route(of: request, context) != nil)
            }
            let path = request.uri.path
            return error.response(isProtocol: path == "/v2" || path.hasPrefix("/v2/"))
        }
    }

    private func answer(to error: any Error, _ request: Request, _ context: ApusRequestContext) -> RequestError {
        switch error {
        case let error as RequestError: return error
        case let error as HTTPError where error.status == .notFound:
            guard let route = routes.route(of: request, context) else {
                return RequestError(.notFound, "not_found", "there is nothing at \(request.uri.path)")
            }
            var answer = RequestError(
                .methodNotAllowed, "method_not_allowed",
                "\(request.method) is not allowed on \(request.uri.path); use \(route.methods.joined(separator: " or "))")
            answer.headers[.allow] = route.methods.joined(separator: ", ")
            return answer
        case let error as HTTPError where error.status.kind == .clientError:
            return RequestError(error.status, "bad_request", error.body ?? error.status.reasonPhrase)
        default:
            let names = context.facts.values.withLock { $0.names }
            logger.error(
                "request failed",
                metadata: names.merging(["path": .string(request.uri.path), "error": "\(error)"]) { $1 })
            return RequestError(.internalServerError, "internal", "the server failed; its log says more")
        }
    }
}
