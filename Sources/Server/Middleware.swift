import Foundation
import Hummingbird
import Logging

/// Gives every answer an `X-Request-Id`, the client's own where it is printable and short, else a new one, and a
/// `Server-Timing`, of zeros where no model was asked.
struct AnswerHeaders<Context: RequestContext>: RouterMiddleware {
    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        response.headers[.requestID] = Self.accepted(request.headers[.requestID]) ?? UUID().uuidString.lowercased()
        if response.headers[.serverTiming] == nil { response.headers[.serverTiming] = InferenceQueue.Timing().header }
        return response
    }

    static func accepted(_ identifier: String?) -> String? {
        guard let identifier, 1...128 ~= identifier.utf8.count, identifier.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            return nil
        }
        return identifier
    }
}

/// Turns every error into the one form that errors have.
struct ErrorAnswers<Context: RequestContext>: RouterMiddleware {
    /// By path.
    let allowedMethods: [String: [String]]
    let logger: Logger

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as RequestError {
            return error.response
        } catch let error as HTTPError where error.status == .notFound {
            guard let allowed = allowedMethods[request.uri.path] else {
                return RequestError(.notFound, "not_found", "there is nothing at \(request.uri.path)").response
            }
            var error = RequestError(
                .methodNotAllowed, "method_not_allowed",
                "\(request.method) is not allowed on \(request.uri.path); use \(allowed.joined(separator: " or "))")
            error.headers[.allow] = allowed.joined(separator: ", ")
            return error.response
        } catch let error as HTTPError where error.status.kind == .clientError {
            return RequestError(error.status, "bad_request", error.body ?? error.status.reasonPhrase).response
        } catch {
            logger.error("request failed", metadata: ["path": "\(request.uri.path)", "error": "\(error)"])
            return RequestError(.internalServerError, "internal", "the server failed; its log says more").response
        }
    }
}
