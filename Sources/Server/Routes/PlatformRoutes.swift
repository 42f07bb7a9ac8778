import Engine
import Hummingbird

/// Where platforms and other servers' clients look: KServe's first protocol, and text-embeddings-inference's `GET /info`.
struct PlatformRoutes: Sendable {
    let models: ModelRegistry
    let limits: ServerLimits
    let state: ServerState

    /// `GET /v1/models`.
    func models(_ request: Request, _ context: ApusRequestContext) -> Response {
        .json(["models": .array(models.current.served.map { .string($0.names.name) })])
    }

    /// `GET /v1/models/{model}`.
    func model(_ request: Request, _ context: ApusRequestContext) throws -> Response {
        let model = try models.current.model(of: context)
        try state.refuseWhenStopping()
        return .json(["name": .string(model.names.name), "ready": true])
    }

    /// What text-embeddings-inference says of a classifier, the default one, as far as it has a meaning here.
    func info(_ request: Request, _ context: ApusRequestContext) throws -> Response {
        let model = try models.current.model(nil)
        let classifier = model.classifier
        let labels = classifier.labels.enumerated()
        return .json([
            "model_id": .string(classifier.directory.name),
            "model_sha": classifier.directory.revision.map { .string($0) } ?? nil,
            "model_dtype": .string(classifier.precision == .f32 ? "float32" : classifier.precision.rawValue),
            "served_model_name": .string(model.names.name),
            "model_type": [
                "classifier": [
                    "id2label": .object(labels.map { .init(String($0), .string($1)) }),
                    "label2id": .object(labels.map { .init($1, .integer($0)) }),
                ]
            ],
            "max_concurrent_requests": .integer(limits.queuedTexts),
            "max_input_length": classifier.maximumTokens.map { .integer($0) } ?? nil,
            "max_batch_tokens": .integer(model.queue.limits.batchTokens),
            "max_client_batch_size": .integer(limits.clientBatch),
            "auto_truncate": .bool(classifier.longTexts != .refuse),
            "version": .string(apusVersion),
        ])
    }
}
