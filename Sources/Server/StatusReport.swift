import Engine

/// What `GET /status` tells.
struct StatusReport: Sendable {
    private let started = ContinuousClock.now
    private let fixed: [JSONValue.Member]

    init(_ classifier: Classifier, limits: ServerLimits) {
        let facts: JSONValue = [
            "model": .string(classifier.directory.name),
            "revision": nil,  // of a model from the Hub
            "weights_sha256": .string(classifier.weightsDigest()),
            "architecture": .string(classifier.architecture),
            "labels": .array(classifier.labels.map(JSONValue.string)),
            "precision": .string(classifier.precision.rawValue),
            "isa": .string(classifier.instructionSet.name),
            "threads": .integer(classifier.threads),
            "version": .string(apusVersion),
            "limits": [
                "max_tokens": .integer(classifier.tokenizer.maximumTokens),
                "max_characters": .integer(TextTokenizer.maximumCharacters),
                "max_body_bytes": .integer(limits.bodyBytes),
                "max_client_batch": .integer(limits.clientBatch),
            ],
        ]
        fixed = facts.object ?? []
    }

    var current: JSONValue {
        .object(fixed + [.init("uptime_seconds", .number((ContinuousClock.now - started) / .seconds(1)))])
    }
}
