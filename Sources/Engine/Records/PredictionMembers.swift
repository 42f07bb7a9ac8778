extension Prediction {
    /// What an answer in JSON has of it: the best label with its score, all scores, and where labels are judged by themselves
    /// those over the threshold.
    package var members: [JSONValue.Member] {
        var members: [JSONValue.Member] = [
            .init("label", .string(best.label)), .init("score", .float(best.value)),
            .init("scores", .object(scores.map { .init($0.label, .float($0.value)) })),
        ]
        if let labels { members.append(.init("labels", .array(labels.map(JSONValue.string)))) }
        if let windows { members.append(.init("windows", .integer(windows))) }
        return members
    }
}
