import Hummingbird

/// `POST /predict`, and `POST /` for clients that have a base URL only.
struct PredictRoutes: Sendable {
    let prediction: TextPrediction

    func predict(_ request: Request, _ context: ApusRequestContext) async throws -> Response {
        if let type = request.headers[.contentType], !Self.isJSON(type) {
            throw RequestError(
                .unsupportedMediaType, "unsupported_media_type",
                "Content-Type is \(type); send application/json (curl: --json, or -H 'Content-Type: application/json')")
        }
        let limits = prediction.limits
        let (body, _, predictions) = try await prediction.predict(request, context) {
            try PredictRequest(body: $0, limits: limits)
        }
        return .json(body.answer(predictions))
    }

    static func isJSON(_ contentType: String) -> Bool {
        if contentType == "application/json" { return true }
        let type = contentType.prefix { $0 != ";" }.trimmingPrefix(" ").lowercased()
        let name = type.last == " " ? String(type.dropLast()) : type
        return name == "application/json" || name.hasSuffix("+json")
    }
}
