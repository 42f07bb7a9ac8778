import Engine
import Hummingbird

/// `/v2/…`: the Open Inference Protocol, version 2, for each model.
struct InferenceProtocolRoutes: Sendable {
    private static let version = "1"

    let prediction: TextPrediction
    let models: ModelRegistry
    let state: ServerState

    func server(_ request: Request, _ context: ApusRequestContext) -> Response {
        .json(["name": "apus", "version": .string(apusVersion), "extensions": ["binary_tensor_data"]])
    }

    func live(_ request: Request, _ context: ApusRequestContext) -> Response { .json(["live": true]) }

    func ready(_ request: Request, _ context: ApusRequestContext) throws -> Response {
        try state.refuseWhenStopping()
        _ = try models.current.model(nil)
        return .json(["ready": true])
    }

    func model(_ request: Request, _ context: ApusRequestContext) throws -> Response {
        let model = try model(context)
        func tensor(_ name: String, _ type: String, _ shape: JSONValue) -> JSONValue {
            ["name": .string(name), "datatype": .string(type), "shape": shape]
        }
        let labels = model.classifier.labels.count
        return .json([
            "name": .string(model.names.name), "versions": [.string(Self.version)], "platform": "apus",
            "inputs": [tensor("text", "BYTES", [-1])],
            "outputs": [
                tensor("label", "BYTES", [-1]), tensor("score", "FP32", [-1]),
                tensor("scores", "FP32", [-1, .integer(labels)]),
            ],
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
        let model = try models.current.model(of: context)
        if let version = context.parameters.get("version"), version != Self.version {
            throw RequestError(
                .notFound, "not_found", "there is no version \"\(version)\"; this server has \"\(Self.version)\"")
        }
        return model
    }
}
