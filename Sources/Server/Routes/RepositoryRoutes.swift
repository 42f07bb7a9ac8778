import Engine
import Hummingbird

/// `/v2/repository/…`: Triton's model repository extension
/// (https://github.com/triton-inference-server/server, docs/protocol/extension_model_repository.md).
struct RepositoryRoutes: Sendable {
    let repository: ModelRepository?
    let prediction: TextPrediction
    let hasKey: Bool

    /// `POST /v2/repository/index`.
    func index(_ request: Request, _ context: ApusRequestContext) async throws -> Response {
        let (repository, body) = try await opened(request, context)
        let isReady = try body["ready"]?.boolean("ready") ?? false
        let models = await repository.index.filter { !isReady || $0.model != nil }
        return .json(
            .array(
                models.map { name, model in
                    var members: [JSONValue.Member] = [
                        .init("name", .string(name)), .init("version", "1"),
                        .init("state", model == nil ? "UNAVAILABLE" : "READY"),
                        .init("reason", model == nil ? "unloaded" : ""),
                    ]
                    if let model { members.append(.init("model", .string(model.identity))) }
                    return .object(members)
                }))
    }

    /// `POST /v2/repository/models/{model}/load`.
    func load(_ request: Request, _ context: ApusRequestContext) async throws -> Response {
        let (repository, body) = try await opened(request, context)
        let parameters = try Self.parameters(body)
        let model = try await Self.answering { try await repository.load(context.modelInPath ?? "", parameters) }
        context.facts.values.withLock { $0.model = model.identity }
        return .json(["name": .string(model.names.name), "model_digest": .string(model.digest)])
    }

    /// `POST /v2/repository/models/{model}/unload`.
    func unload(_ request: Request, _ context: ApusRequestContext) async throws -> Response {
        let (repository, _) = try await opened(request, context)
        let name = context.modelInPath ?? ""
        try await Self.answering { try await repository.unload(name) }
        return .json(["name": .string(name)])
    }

    /// What a load says of the model: members of `parameters`, or of the object that `config` holds as a string, which is all that
    /// Triton's clients can send.
    private static func parameters(_ body: JSONValue) throws(RequestError) -> [(place: String, json: JSONValue)] {
        guard let parameters = body["parameters"], !parameters.isNull else { return [] }
        guard let members = parameters.object else {
            throw .invalid("field \"parameters\" is \(parameters.kind); it must be an object")
        }
        let own = JSONValue.object(members.filter { $0.name != "config" })
        guard let config = parameters["config"] else { return [("parameters", own)] }
        guard let text = config.string, let object = try? JSONValue(parsing: Array(text.utf8)), object.object != nil else {
            throw .invalid("field \"parameters.config\" must be a string that holds a JSON object")
        }
        return [("parameters", own), ("parameters.config", object)]
    }

    /// Whether this client may change the models, and the body, which may be empty.
    private func opened(
        _ request: Request, _ context: ApusRequestContext
    ) async throws -> (repository: ModelRepository, body: JSONValue) {
        guard let repository, repository.allowsRequests else {
            throw RequestError(
                .forbidden, "forbidden", "this server's models cannot be changed over HTTP; start it with --allow-load")
        }
        // What comes through a proxy comes from anywhere, and a page in a browser of this machine may be anybody's.
        let isLocal =
            Self.isLoopback(context.channel.remoteAddress?.ipAddress)
            && [.origin, .forwarded, .xForwardedFor].allSatisfy { request.headers[$0] == nil }
        guard hasKey || isLocal else {
            throw RequestError(
                .forbidden, "forbidden",
                "models are changed from the server's own machine, or with an API key; start the server with --api-key")
        }
        try prediction.state.refuseWhenStopping()
        let bytes = try await prediction.collect(request).unpacked()
        return (repository, bytes.isEmpty ? [:] : try JSONValue(body: bytes, needs: "\"parameters\", or nothing"))
    }

    private static func isLoopback(_ address: String?) -> Bool {
        guard let address else { return false }
        return address == "::1" || address.hasPrefix("127.") || address.hasPrefix("::ffff:127.")
    }

    private static func answering<Value>(_ change: () async throws -> Value) async throws -> Value {
        do {
            return try await change()
        } catch let failure as ModelLoadFailure {
            if failure.reason == .unknown { throw RequestError(.notFound, "not_found", failure.message) }
            throw RequestError(.unprocessableContent, "model_\(failure.reason.rawValue)", failure.message)
        }
    }
}
