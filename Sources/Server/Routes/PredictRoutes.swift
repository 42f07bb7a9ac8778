import Hummingbird

/// `POST /predict`, and `POST /` for clients that have a base URL only.
struct PredictRoutes: Sendable {
    let prediction: TextPrediction

    func predict(_ request: Request, _ context: ApusRequestContext) async throws -> Response {
        try Self.checkJSON(request)
        let limits = prediction.limits
        let (body, _, predictions) = try await prediction.predict(request, context) {
            try PredictRequest(body: $0, limits: limits)
        }
        return .json(body.answer(predictions))
    }

    /// Throws where the body is said to be something else than JSON.
    static func checkJSON(_ request: Request) throws(RequestError) {
        guard let type = request.headers[.contentType], !isJSON(type) else { return }
        throw RequestError(
            .unsupportedMediaType, "unsupported_media_type",
            "Content-Type is \(type); send application/json (curl: --json, or -H 'Content-Type: application/json')")
    }

    static func isJSON(_ contentType: String) -> Bool {
        if contentType == "application/json" { return true }
        let type = contentType.prefix { $0 != ";" }.trimmingPrefix(" ").lowercased()
        let name = type.last == " " ? String(type.dropLast()) : type
        return name == "application/json" || name.hasSuffix("+json")
    }
}
