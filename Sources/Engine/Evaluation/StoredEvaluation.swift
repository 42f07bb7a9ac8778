/// The report that stands in a model directory as `evaluation_report.json`: what `apus evaluate --report` wrote, of this model
/// or, where that was changed since, of another.
public struct StoredEvaluation: Sendable, Equatable {
    public static let fileName = "evaluation_report.json"

    public let accuracy: Double
    public let macroRecall: Double
    public let dataset: String
    public let split: String
    public let precision: String
    /// Of the weights that were measured; nil in a report of an older Apus.
    public let weightsDigest: String?
    /// Of all that decided the answers; nil in a report of an older Apus.
    public let modelDigest: String?
    let modelParts: JSONValue?
    /// What was missed; nil where no gate was asked for.
    public let gateFailures: [String]?

    /// The report in a model directory; nil where it has none.
    public init?(directory: ModelDirectory) throws(InputError) {
        let path = directory.file(Self.fileName)
        let advice = "Write it anew with apus evaluate --report, or delete it"
        guard let json = try directory.json(Self.fileName, advice: advice) else { return nil }
        func share(_ name: String) throws(InputError) -> Double {
            guard let value = json[name]?.double, 0...1 ~= value else {
                throw InputError(path, "\"\(name)\" is not a share from 0 to 1. \(advice)")
            }
            return value
        }
        func text(_ name: String) throws(InputError) -> String {
            guard let value = json[name]?.string else { throw InputError(path, "has no string \"\(name)\". \(advice)") }
            return value
        }
        accuracy = try share("accuracy")
        macroRecall = try share("macro_recall")
        dataset = try text("dataset")
        split = try text("split")
        precision = try text("precision")
        weightsDigest = json["weights_sha256"]?.string
        modelDigest = json["model_digest"]?.string
        modelParts = json["model_parts"]
        switch json["gate"] {
        case nil, .null?: gateFailures = nil
        case let gate?:
            guard let failures = gate["failures"]?.array, gate["passed"]?.bool == failures.isEmpty else {
                throw InputError(path, "\"gate\" has no \"failures\" that agree with \"passed\". \(advice)")
            }
            gateFailures = failures.map { $0.string ?? "" }
        }
    }

    /// Why it does not tell of `classifier` as it runs; nil where it does.
    public func difference(from classifier: Classifier) -> String? {
        guard let modelDigest else {
            return
                "was written by an older Apus: it has no model_digest, and so proves nothing of config.json, the tokenizer and "
                + "the text preparation"
        }
        let weights = classifier.weightsDigest()
        guard weightsDigest == weights else {
            return "is about other weights: their sha256 is \(weightsDigest ?? "not in the report"), this model's \(weights)"
        }
        let digest = classifier.modelDigest()
        guard modelDigest == digest.hexadecimal else {
            return "is about another model\(digest.changes(since: modelParts).map { ": \($0)" } ?? ""); its model_digest is "
                + "\(modelDigest), this one's \(digest.hexadecimal)"
        }
        guard precision == classifier.precision.rawValue else {
            return "is about precision \(precision); this server's is \(classifier.precision.rawValue)"
        }
        return nil
    }
}

/// Why a model may not be served where its gate is required.
public enum GateRequirement {
    /// What stands against `classifier` by the report in its directory; nil where it passed, with the same weights,
    /// configuration, tokenizer, text preparation, calibration and precision. Throws `InputError` where there is no such
    /// report, which is no failed gate.
    public static func failures(of classifier: Classifier) throws(InputError) -> [String]? {
        let path = classifier.directory.file(StoredEvaluation.fileName)
        let advice =
            "Measure this model: apus evaluate --dataset … --model \(classifier.directory.name) --min-accuracy … --report \(path)"
        guard let report = try StoredEvaluation(directory: classifier.directory) else {
            throw InputError(path, "is missing, and --require-gate asks for it. \(advice)")
        }
        guard let failures = report.gateFailures else {
            throw InputError(path, "was written without a gate. \(advice)")
        }
        if let difference = report.difference(from: classifier) { throw InputError(path, "\(difference). \(advice)") }
        return failures.isEmpty ? nil : failures
    }
}
