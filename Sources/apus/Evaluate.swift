import ArgumentParser
import Engine
import Foundation

struct Evaluate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures a model on labelled texts; with a minimum, the gate: exit code 1 where it is missed.")

    @OptionGroup var model: ModelOptions

    @Option(help: "A directory in TweetEval's form, or a .jsonl or .csv file with text and label.")
    var dataset: String

    @Option(help: "Which split of a directory.")
    var split = "test"

    @Option(help: "The least accuracy that passes, 0 to 1.")
    var minAccuracy: Double?

    @Option(help: "The least macro recall that passes, 0 to 1.")
    var minMacroRecall: Double?

    @Option(help: "Writes the figures to this file, as JSON.")
    var report: String?

    @Flag(help: "Writes reference_profile.json into the model directory: what apus serve compares its predictions with.")
    var writeProfile = false

    func validate() throws {
        for (name, value) in [("--min-accuracy", minAccuracy), ("--min-macro-recall", minMacroRecall)] {
            if let value, !(0...1 ~= value) { throw ValidationError("\(name) is a share from 0 to 1, not \(value).") }
        }
    }

    func run() async throws {
        let classifier = try await model.classifier()
        let dataset = try Dataset(path: dataset, split: split, modelLabels: classifier.labels)
        var bar = ProgressBar(title: "evaluate")
        defer { bar.clear() }
        let evaluation = try Evaluation(
            classifier, on: dataset, gate: .init(minimumAccuracy: minAccuracy, minimumMacroRecall: minMacroRecall)
        ) { bar.show($0, of: $1) }
        bar.clear()
        if let report { try FileReplacement.write(evaluation.report.serialized(pretty: true) + [0x0A], to: report) }
        if writeProfile {
            let path = classifier.directory.path + "/" + ReferenceProfile.fileName
            try FileReplacement.write(evaluation.profile.json.serialized(pretty: true) + [0x0A], to: path)
        }
        try StandardOutput.write(Array(summary(evaluation).utf8))
        if let failures = evaluation.gateFailures, !failures.isEmpty {
            StandardError.write(failures.map { "apus: the gate failed: \($0)\n" }.joined())
            throw ExitCode(1)
        }
    }

    private func summary(_ evaluation: Evaluation) -> String {
        let metrics = evaluation.metrics
        let width = evaluation.labels.map(\.count).max() ?? 0
        func percent(_ value: Double) -> String { String(format: "%6.2f %%", 100 * value) }
        func pad(_ label: String, _ width: Int) -> String { label + String(repeating: " ", count: max(0, width - label.count)) }
        var lines = [
            "model          \(evaluation.model) (\(evaluation.architecture), \(evaluation.precision), \(evaluation.isa), "
                + "\(evaluation.threads) threads)",
            "data           \(evaluation.dataset), \(evaluation.split): \(metrics.confusion.joined().reduce(0, +)) texts",
            "accuracy      \(percent(metrics.accuracy))",
            "macro recall  \(percent(metrics.macroRecall))",
            "macro F1      \(percent(metrics.macroF1))",
            String(
                format: "latency        p50 %.2f, p90 %.2f, p99 %.2f, mean %.2f ms; %.0f texts/s", evaluation.latency.p50,
                evaluation.latency.p90, evaluation.latency.p99, evaluation.latency.mean, evaluation.textsPerSecond),
            "",
            pad("", width) + "  precision    recall        F1  support   predicted as "
                + evaluation.labels.joined(separator: ", "),
        ]
        for (index, label) in evaluation.labels.enumerated() {
            let figures = metrics.classes[index]
            let counts = metrics.confusion[index].map { String(format: "%7d", $0) }.joined()
            lines.append(
                pad(label, width) + "   \(percent(figures.precision))  \(percent(figures.recall))  \(percent(figures.f1))"
                    + String(format: "  %7d  ", figures.support) + counts)
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
