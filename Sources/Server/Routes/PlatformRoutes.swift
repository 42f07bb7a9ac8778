import Engine
import Hummingbird

/// Where platforms and other servers' clients look: KServe's first protocol, and text-embeddings-inference's `GET /info`.
struct PlatformRoutes: Sendable {
    let names: ModelNames
    let predict: RouteTable.Handler
    let state: ServerState
    let info: JSONValue

    init(
        _ classifier: Classifier, _ limits: ServerLimits, batchTokens: Int, names: ModelNames, state: ServerState,
        predict: @escaping RouteTable.Handler
    ) {
        self.names = names
        self.predict = predict
        self.state = state
        info = Self.info(classifier, limits, batchTokens: batchTokens, names: names)
    }

    /// `POST /v1/models/{model}:predict`.
    func predictByName(_ request: Request, _ context: ApusRequestContext) async throws -> Response {
        try names.check(context)
        return try await predict(request, context)
    }

    /// `GET /v1/models`.
    func models(_ request: Request, _ context: ApusRequestContext) -> Response {
        .json(["models": [.string(names.name)]])
    }

    /// `GET /v1/models/{model}`.
    func model(_ request: Request, _ context: ApusRequestContext) throws -> Response {
        try names.check(context)
        try state.refuseWhenStopping()
        return .json(["name": .string(names.name), "ready": true])
    }

    func info(_ request: Request, _ context: ApusRequestContext) -> Response { .json(info) }

    /// What text-embeddings-inference says of a classifier, as far as it has a meaning here.
    private static func info(
        _ classifier: Classifier, _ limits: ServerLimits, batchTokens: Int, names: ModelNames
    ) -> JSONValue {
        let labels = classifier.labels.enumerated()
        return [
            "model_id": .string(classifier.directory.name),
            "model_sha": classifier.directory.revision.map { .string($0) } ?? nil,
            "model_dtype": .string(classifier.precision == .f32 ? "float32" : classifier.precision.rawValue),
            "served_model_name": .string(names.name),
            "model_type": [
                "classifier": [
                    "id2label": .object(labels.map { .init(String($0), .string($1)) }),
                    "label2id": .object(labels.map { .init($1, .integer($0)) }),
                ]
            ],
            "max_concurrent_requests": .integer(limits.queuedTexts),
            "max_input_length": classifier.maximumTokens.map { .integer($0) } ?? nil,
            "max_batch_tokens": .integer(batchTokens),
            "max_client_batch_size": .integer(limits.clientBatch),
            "auto_truncate": .bool(classifier.longTexts != .refuse),
            "version": .string(apusVersion),
        ]
    }
}
