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
        /// As Hummingbird writes it; `{name}` stands for any one component, `{name}:end` for one with that end.
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

        /// A path with the methods of two rows; where both have one, it is the first's.
        fileprivate init(_ first: Route, _ second: Route) {
            pattern = first.pattern
            isQuiet = first.isQuiet
            let methods = first.methods
            handlers = first.handlers + second.handlers.filter { !methods.contains($0.method.rawValue) }
        }

        var methods: [String] { handlers.map(\.method.rawValue) }
    }

    let routes: [Route]
    /// Every method of any route.
    let methods: Set<HTTPRequest.Method>
    private let exact: [String: Route]
    private let patterns: [(path: RouterPath, route: Route)]

    init(_ rows: [Route]) {
        var routes: [Route] = []
        for row in rows {
            if let index = routes.firstIndex(where: { $0.pattern == row.pattern }) {
                routes[index] = Route(routes[index], row)
            } else {
                routes.append(row)
            }
        }
        self.routes = routes
        methods = Set(routes.flatMap { $0.handlers.map(\.method) })
        exact = Dictionary(routes.map { ($0.pattern, $0) }) { first, _ in first }
        patterns = routes.map { (RouterPath($0.pattern), $0) }
    }

    /// The route that the router took, or would have taken with another method; nil where there is nothing.
    func route(of request: Request, _ context: ApusRequestContext) -> Route? {
        if let pattern = context.endpointPath, let route = exact[pattern] { return route }
        let components = request.uri.path.split(separator: "/")
        return patterns.first { path, _ in
            path.count == components.count && zip(path, components).allSatisfy { $0 ~= $1 }
        }?.route
    }
}
