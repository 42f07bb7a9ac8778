/// The report that stands in a model directory as `evaluation_report.json`: what `apus evaluate --report` wrote there.
public struct StoredEvaluation: Sendable, Equatable {
    public static let fileName = "evaluation_report.json"

    public let accuracy: Double
    public let macroRecall: Double
    public let dataset: String
    public let split: String
    public let precision: String
    /// What was missed; nil where no gate was asked for.
    public let gateFailures: [String]?

    /// The report in a model directory; nil where it has none.
    public init?(directory: ModelDirectory) throws(InputError) {
        let path = directory.path + "/" + Self.fileName
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
        switch json["gate"] {
        case nil, .null?: gateFailures = nil
        case let gate?:
            guard let failures = gate["failures"]?.array, gate["passed"]?.bool == failures.isEmpty else {
                throw InputError(path, "\"gate\" has no \"failures\" that agree with \"passed\". \(advice)")
            }
            gateFailures = failures.map { $0.string ?? "" }
        }
    }
}
