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
        switch json["gate"] {
        case nil, .null?: gateFailures = nil
        case let gate?:
            guard let failures = gate["failures"]?.array, gate["passed"]?.bool == failures.isEmpty else {
                throw InputError(path, "\"gate\" has no \"failures\" that agree with \"passed\". \(advice)")
            }
            gateFailures = failures.map { $0.string ?? "" }
        }
    }

    /// Whether it tells of these weights in this precision.
    public func isAbout(weightsDigest: String, precision: Precision) -> Bool {
        self.weightsDigest == weightsDigest && self.precision == precision.rawValue
    }
}

/// Why a model may not be served where its gate is required.
public enum GateRequirement {
    /// What stands against `classifier` by the report in its directory; nil where it passed, with the same weights and
    /// precision. Throws `InputError` where there is no such report, which is no failed gate.
    public static func failures(of classifier: Classifier) throws(InputError) -> [String]? {
        let path = classifier.directory.file(StoredEvaluation.fileName)
        let advice =
            "Measure this model: apus evaluate --model \(classifier.directory.name) --min-accuracy … --report \(path)"
        guard let report = try StoredEvaluation(directory: classifier.directory) else {
            throw InputError(path, "is missing, and --require-gate asks for it. \(advice)")
        }
        guard let failures = report.gateFailures else {
            throw InputError(path, "was written without a gate. \(advice)")
        }
        let digest = classifier.weightsDigest()
        guard report.weightsDigest == digest else {
            throw InputError(
                path,
                "is about other weights: their sha256 is \(report.weightsDigest ?? "not in the report"), this model's "
                    + "\(digest). \(advice)")
        }
        guard report.precision == classifier.precision.rawValue else {
            throw InputError(
                path, "is about precision \(report.precision); this server's is \(classifier.precision.rawValue). \(advice)")
        }
        return failures.isEmpty ? nil : failures
    }
}
