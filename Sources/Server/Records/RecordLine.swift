import Engine

/// A line of a record file, a JSON object: a text and what a model said of it, or which label was right.
package enum RecordLine: Sendable {
    package struct Answer: Sendable {
        let id: String
        /// Of the text within its request; nil of a request with one.
        let index: Int?
        /// RFC 3339, UTC, milliseconds.
        let time: String
        /// As `X-Apus-Model` has it.
        let model: String
        let text: String
        let pair: String?
        /// By label, in the model's order.
        let scores: [JSONValue.Member]
    }

    case answer(Answer)
    case feedback(id: String, index: Int, label: String, time: String)

    package var bytes: [UInt8] {
        var members: [JSONValue.Member] = []
        switch self {
        case .answer(let answer):
            members.append(.init("id", .string(answer.id)))
            if let index = answer.index { members.append(.init("index", .integer(index))) }
            members += [
                .init("time", .string(answer.time)), .init("model", .string(answer.model)),
                .init("text", .string(answer.text)),
            ]
            if let pair = answer.pair { members.append(.init("text_pair", .string(pair))) }
            members.append(.init("scores", .object(answer.scores)))
        case .feedback(let id, let index, let label, let time):
            members = [
                .init("id", .string(id)), .init("index", .integer(index)), .init("label", .string(label)),
                .init("time", .string(time)),
            ]
        }
        return JSONValue.object(members).serialized() + [0x0A]
    }

    /// nil for bytes that are no such line.
    package init?(_ bytes: [UInt8]) {
        guard let json = try? JSONValue(parsing: bytes), let id = json["id"]?.string, let time = json["time"]?.string else {
            return nil
        }
        let index = json["index"]?.integer
        guard index ?? 0 >= 0, index != nil || json["index"] == nil else { return nil }
        if let text = json["text"]?.string {
            guard let model = json["model"]?.string, let scores = json["scores"]?.object, !scores.isEmpty,
                scores.allSatisfy({ $0.value.double != nil }), json["text_pair"].map({ $0.string != nil }) ?? true
            else { return nil }
            self = .answer(
                Answer(
                    id: id, index: index, time: time, model: model, text: text, pair: json["text_pair"]?.string,
                    scores: scores))
        } else if let label = json["label"]?.string {
            self = .feedback(id: id, index: index ?? 0, label: label, time: time)
        } else {
            return nil
        }
    }

    /// Bytes that it takes in memory, or somewhat more.
    var memory: Int {
        switch self {
        case .answer(let answer): 512 + answer.text.utf8.count + (answer.pair?.utf8.count ?? 0) + 48 * answer.scores.count
        case .feedback: 512
        }
    }
}
