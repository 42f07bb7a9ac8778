import Engine
import Hummingbird

/// `/v2/…`: the Open Inference Protocol, version 2, for each model.
struct InferenceProtocolRoutes: Sendable {
    static let version = "1"

    let prediction: TextPrediction
    let models: ModelRegistry
    let state: ServerState

    func server(_ request: Request, _ context: ApusRequestContext) -> Response {
        .json(["name": "apus", "version": .string(apusVersion), "extensions": ["binary_tensor_data"]])
    }

    func live(_ request: Request, _ context: ApusRequestContext) -> Response { .json(["live": true]) }

    func ready(_ request: Request, _ context: ApusRequestContext) throws -> Response {
        try refuseWhenNotReady()
        return .json(["ready": true])
    }

    func refuseWhenNotReady() throws(RequestError) {
        try state.refuseWhenStopping()
        _ = try models.current.model(nil)
    }

    /// An input or output of a model; -1 in its shape stands for any number.
    typealias Tensor = (name: String, datatype: String, shape: [Int])

    static func tensors(of model: ServedModel) -> (inputs: [Tensor], outputs: [Tensor]) {
        let labels = model.classifier.labels.count
        return (
            [("text", "BYTES", [-1])],
            [("label", "BYTES", [-1]), ("score", "FP32", [-1]), ("scores", "FP32", [-1, labels])]
        )
    }

    func model(_ request: Request, _ context: ApusRequestContext) throws -> Response {
        let model = try model(context)
        func json(_ tensors: [Tensor]) -> JSONValue {
            .array(
                tensors.map { name, datatype, shape in
                    [
                        "name": .string(name), "datatype": .string(datatype),
                        "shape": .array(shape.map(JSONValue.integer)),
                    ]
                })
        }
        let (inputs, outputs) = Self.tensors(of: model)
        return .json([
            "name": .string(model.names.name), "versions": [.string(Self.version)], "platform": "apus",
            "inputs": json(inputs), "outputs": json(outputs),
        ])
    }

    func modelReady(_ request: Request, _ context: ApusRequestContext) throws -> Response {
        let model = try model(context)
        try state.refuseWhenStopping()
        return .json(["name": .string(model.names.name), "ready": true])
    }

    func infer(_ request: Request, _ context: ApusRequestContext) async throws -> Response {
        _ = try model(context)
        let isBinary = request.headers[.contentType]?.lowercased() == "application/octet-stream"
        if let type = request.headers[.contentType], !isBinary, !PredictRoutes.isJSON(type) {
            throw RequestError(
                .unsupportedMediaType, "unsupported_media_type",
                "Content-Type is \(type); send application/json, or application/octet-stream with binary tensors")
        }
        var headerLength: Int?
        if let text = request.headers[.inferenceHeaderContentLength] {
            guard let length = Int(text), length >= 0 else {
                throw RequestError(
                    .badRequest, "bad_request", "Inference-Header-Content-Length is \(text); it must be a number of bytes")
            }
            headerLength = length
        }
        let limits = prediction.limits
        let (body, model, predictions) = try await prediction.predict(request, context) { [headerLength] bytes in
            try InferRequest(body: bytes, headerLength: headerLength, limits: limits)
        }
        return InferResponse(body, predictions, modelName: model.names.name, version: Self.version).response
    }

    private func model(_ context: ApusRequestContext) throws(RequestError) -> ServedModel {
        try model(context.modelInPath ?? "", version: context.parameters.get("version") ?? "")
    }

    /// - Parameter version: empty for any.
    func model(_ name: String, version: String) throws(RequestError) -> ServedModel {
        let model = try models.current.model(name)
        try Self.check(version: version)
        return model
    }

    static func check(version: String) throws(RequestError) {
        guard ["", Self.version].contains(version) else {
            throw RequestError(
                .notFound, "not_found", "there is no version \"\(version)\"; this server has \"\(Self.version)\"")
        }
    }
}
