extension Prediction {
    /// What an answer in JSON has of it: the best label with its score, all scores, and where labels are judged by themselves
    /// those over the threshold.
    package var members: [JSONValue.Member] { members(values: scores.map(\.value)) }

    /// The same with other figures for the labels, in the model's order: their logits.
    package func members(values: [Float]) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = [
            .init("label", .string(best.label)), .init("score", .float(values[bestIndex])),
            .init("scores", .object(zip(scores, values).map { .init($0.label, .float($1)) })),
        ]
        if let labels { members.append(.init("labels", .array(labels.map(JSONValue.string)))) }
        if let windows { members.append(.init("windows", .integer(windows))) }
        return members
    }
}
