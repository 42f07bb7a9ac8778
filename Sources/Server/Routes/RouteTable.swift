import HTTPTypes
import Hummingbird

/// All that the server answers to: one row a path.
struct RouteTable: Sendable {
    typealias Handler = @Sendable (Request, ApusRequestContext) async throws -> Response

    enum Access: Sendable {
        /// Needs the API key where there is one.
        case key
        /// Needs it only where everything is protected.
        case open
        /// Never needs it: a supervisor has none.
        case always
    }

    struct Route: Sendable {
        /// As Hummingbird writes it; `{name}` stands for any one component.
        let pattern: String
        /// Left out of the log at its usual level: asked for every few seconds by machines.
        let isQuiet: Bool
        let handlers: [(method: HTTPRequest.Method, access: Access, handler: Handler)]

        /// - Parameter access: of `get`; whoever posts asks for the model's work, and needs the key.
        init(
            _ pattern: String, access: Access = .key, isQuiet: Bool = false, get: Handler? = nil, post: Handler? = nil
        ) {
            self.pattern = pattern
            self.isQuiet = isQuiet
            // A GET route answers HEAD too: the connection leaves the body out.
            let rows: [(HTTPRequest.Method, Access, Handler?)] = [
                (.get, access, get), (.head, access, get), (.post, .key, post),
            ]
            handlers = rows.compactMap { method, access, handler in handler.map { (method, access, $0) } }
        }

        var methods: [String] { handlers.map(\.method.rawValue) }
    }

    let routes: [Route]
    /// Every method of any route.
    let methods: Set<HTTPRequest.Method>
    private let exact: [String: Route]
    private let patterns: [(components: [Substring], route: Route)]

    init(_ routes: [Route]) {
        self.routes = routes
        methods = Set(routes.flatMap { $0.handlers.map(\.method) })
        exact = Dictionary(routes.map { ($0.pattern, $0) }) { first, _ in first }
        patterns = routes.map { ($0.pattern.split(separator: "/"), $0) }
    }

    /// The route that the router took, or would have taken with another method; nil where there is nothing.
    func route(of request: Request, _ context: ApusRequestContext) -> Route? {
        if let pattern = context.endpointPath, let route = exact[pattern] { return route }
        let components = request.uri.path.split(separator: "/")
        return patterns.first { pattern, _ in
            pattern.count == components.count && zip(pattern, components).allSatisfy { $0.hasPrefix("{") || $0 == $1 }
        }?.route
    }
}
