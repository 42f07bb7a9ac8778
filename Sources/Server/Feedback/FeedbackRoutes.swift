import Engine
import Hummingbird

/// `POST /feedback`: what the right answer was.
struct FeedbackRoutes: Sendable {
    let feedback: Feedback
    let prediction: TextPrediction

    func judge(_ request: Request, _ context: ApusRequestContext) async throws -> Response {
        try PredictRoutes.checkJSON(request)
        let (judgements, isList) = try Self.judgements(try await prediction.collect(request).unpacked())
        let outcomes = feedback.judge(judgements)
        for (position, outcome) in outcomes.enumerated() {
            guard case .notALabel(let model) = outcome else { continue }
            let labels = model.labels.prefix(20).joined(separator: ", ") + (model.labels.count > 20 ? ", …" : "")
            throw RequestError.invalid(
                "field \"\(isList ? "[\(position)]." : "")label\" is \"\(judgements[position].label)\", which is not a label of the "
                    + "model that answered, \(model.name); it has \(labels)")
        }
        let unknown = zip(judgements, outcomes).filter { $1 == .unknown }.map(\.0)
        let accepted = judgements.count - unknown.count
        guard accepted > 0 else {
            let reach = feedback.reach
            throw RequestError(
                .notFound, "not_found",
                "no answer with the request_id \"\(unknown[0].identifier)\" and index \(unknown[0].index) is remembered: the "
                    + "last \(reach.answers) are, back to \(reach.seconds) seconds ago")
        }
        return .json(
            isList
                ? [
                    "accepted": .integer(accepted),
                    "unknown": .array(
                        unknown.map { ["request_id": .string($0.identifier), "index": .integer($0.index)] }),
                ] : ["accepted": 1])
    }

    /// An object, or an array of them.
    private static func judgements(_ body: [UInt8]) throws(RequestError) -> ([Feedback.Judgement], isList: Bool) {
        let json = try JSONValue(anyOf: body)
        guard let list = json.array else { return ([try judgement(json, "")], false) }
        guard !list.isEmpty else { throw .invalid("the body is an empty array; give one or more judgements") }
        var judgements: [Feedback.Judgement] = []
        for (position, element) in list.enumerated() { judgements.append(try judgement(element, "[\(position)].")) }
        return (judgements, true)
    }

    private static func judgement(_ json: JSONValue, _ place: String) throws(RequestError) -> Feedback.Judgement {
        guard json.object != nil else {
            let what = place.isEmpty ? "the body" : "field \"\(place.dropLast())\""
            throw .invalid("\(what) is \(json.kind); it must be an object with \"request_id\" and \"label\"")
        }
        func text(_ field: String) throws(RequestError) -> String {
            guard let text = json[field]?.string, !text.isEmpty else {
                let found = json[field].map { $0.string == "" ? "empty" : $0.kind } ?? "missing"
                throw .invalid("field \"\(place)\(field)\" is \(found); it must be a string")
            }
            return text
        }
        let index = json["index"] ?? 0
        guard let index = index.integer, 0...Int(UInt32.max) ~= index else {
            throw .invalid(
                "field \"\(place)index\" is \(index.kind); it must be the text's place in its request, a whole number from 0"
            )
        }
        return Feedback.Judgement(identifier: try text("request_id"), index: index, label: try text("label"))
    }
}
