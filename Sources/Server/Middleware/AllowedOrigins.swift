import HTTPTypes
import Hummingbird

/// CORS for several origins: Hummingbird's middleware takes a list only where it is written down in the source, so each origin
/// has one of its own.
struct AllowedOrigins: RouterMiddleware {
    private let byOrigin: [String: CORSMiddleware<ApusRequestContext>]
    /// Of origins that are not among them.
    private let others: CORSMiddleware<ApusRequestContext>

    /// - Parameter origins: at least one; `*` is every one.
    init(_ origins: [String]) {
        byOrigin = Dictionary(origins.map { ($0, Self.middleware(.oneOf($0))) }) { first, _ in first }
        // One that says nothing to them, but tells caches that the answer depends on who asks.
        others = Self.middleware(origins.contains("*") ? .all : .oneOf(origins[0]))
    }

    private static func middleware(
        _ origin: CORSMiddleware<ApusRequestContext>.AllowOriginExtended
    ) -> CORSMiddleware<ApusRequestContext> {
        CORSMiddleware(
            allowOrigin: origin,
            allowHeaders: [
                .accept, .authorization, .contentType, .origin, .requestID, .traceParent, .traceState, .apusKey,
            ],
            allowMethods: [.get, .post, .head, .options],
            maxAge: .hours(1))
    }

    /// Beyond the few that every page may read.
    private static let exposedHeaders = [HTTPField.Name.requestID, .apusModel, .serverTiming, .retryAfter, .traceParent]
        .map(\.rawName).joined(separator: ", ")

    func handle(
        _ request: Request, context: ApusRequestContext, next: (Request, ApusRequestContext) async throws -> Response
    ) async throws -> Response {
        let middleware = request.headers[.origin].flatMap { byOrigin[$0] } ?? others
        var response = try await middleware.handle(request, context: context, next: next)
        // Hummingbird tells them in answers to preflights, where browsers do not look.
        if request.method != .options, response.headers.contains(.accessControlAllowOrigin) {
            response.headers[.accessControlExposeHeaders] = Self.exposedHeaders
        }
        return response
    }
}
