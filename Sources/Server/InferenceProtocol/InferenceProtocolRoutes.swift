import Engine
import Foundation
import Hummingbird

/// `/v2/…`: the Open Inference Protocol, version 2, for one model.
struct InferenceProtocolRoutes: Sendable {
    private static let version = "1"

    let prediction: TextPrediction
    let state: ServerState
    let modelName: String

    /// What a model is called in a path: the last component of its name, with a hyphen for what a URL would not hold as it is.
    static func modelName(_ directory: ModelDirectory) -> String {
        let name = URL(fileURLWithPath: directory.name).standardizedFileURL.lastPathComponent
        let plain = name.unicodeScalars.map { scalar in
            scalar.isASCII && (scalar.properties.isAlphabetic || "0123456789._-".unicodeScalars.contains(scalar))
                ? scalar : "-"
        }
        return plain.isEmpty ? "model" : String(String.UnicodeScalarView(plain))
    }

    func server(_ request: Request, _ context: ApusRequestContext) -> Response {
        .json(["name": "apus", "version": .string(apusVersion), "extensions": ["binary_tensor_data"]])
    }

    func live(_ request: Request, _ context: ApusRequestContext) -> Response { .json(["live": true]) }

    func ready(_ request: Request, _ context: ApusRequestContext) throws -> Response {
        try state.refuseWhenStopping()
        return .json(["ready": true])
    }

    func model(_ request: Request, _ context: ApusRequestContext) throws -> Response {
        try checkModel(context)
        func tensor(_ name: String, _ type: String, _ shape: JSONValue) -> JSONValue {
            ["name": .string(name), "datatype": .string(type), "shape": shape]
        }
        let labels = prediction.classifier.labels.count
        return .json([
            "name": .string(modelName), "versions": [.string(Self.version)], "platform": "apus",
            "inputs": [tensor("text", "BYTES", [-1])],
            "outputs": [
                tensor("label", "BYTES", [-1]), tensor("score", "FP32", [-1]),
                tensor("scores", "FP32", [-1, .integer(labels)]),
            ],
        ])
    }

    func modelReady(_ request: Request, _ context: ApusRequestContext) throws -> Response {
        try checkModel(context)
        try state.refuseWhenStopping()
        return .json(["name": .string(modelName), "ready": true])
    }

    func infer(_ request: Request, _ context: ApusRequestContext) async throws -> Response {
        try checkModel(context)
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
        let (body, predictions) = try await prediction.predict(request, context) { [headerLength] bytes in
            try InferRequest(body: bytes, headerLength: headerLength, limits: limits)
        }
        return InferResponse(body, predictions, modelName: modelName, version: Self.version).response
    }

    private func checkModel(_ context: ApusRequestContext) throws(RequestError) {
        let asked = context.parameters.get("model")?.removingPercentEncoding
        guard asked == modelName else {
            throw RequestError(
                .notFound, "not_found", "there is no model \"\(asked ?? "")\"; this server has \"\(modelName)\"")
        }
        if let version = context.parameters.get("version"), version != Self.version {
            throw RequestError(
                .notFound, "not_found", "there is no version \"\(version)\"; this server has \"\(Self.version)\"")
        }
    }
}
