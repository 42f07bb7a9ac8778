import ArgumentParser
import Engine
import Foundation

struct Evaluate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures a model on labelled texts; with a minimum, the gate: exit code 1 where it is missed.")

    @OptionGroup var model: ModelOptions

    @OptionGroup var data: DatasetOptions

    @Option(help: "The least accuracy that passes, 0 to 1.")
    var minAccuracy: Double?

    @Option(help: "The least macro recall that passes, 0 to 1.")
    var minMacroRecall: Double?

    @Option(help: "Compares with another model (default: the same one in --reference-precision).")
    var referenceModel: String?

    @Option(help: "Compares with this precision: int8 or f32 (default: --precision).")
    var referencePrecision: Precision?

    @Option(help: "The most accuracy that may be lost to the reference, 0 to 1: 0.003 is 0.3 points.")
    var maxAccuracyDrop: Double?

    @Option(help: "The least share of texts that must get the reference's label, 0 to 1.")
    var minAgreement: Double?

    @Option(help: "Writes the figures to this file, as JSON.")
    var report: String?

    @Option(help: "Appends a summary in Markdown to this file, such as $GITHUB_STEP_SUMMARY.")
    var markdown: String?

    @Flag(help: "Writes reference_profile.json into the model directory: what apus serve compares its predictions with.")
    var writeProfile = false

    func validate() throws {
        let shares = [
            ("--min-accuracy", minAccuracy), ("--min-macro-recall", minMacroRecall),
            ("--max-accuracy-drop", maxAccuracyDrop), ("--min-agreement", minAgreement),
        ]
        for (name, value) in shares {
            if let value, !(0...1 ~= value) { throw ValidationError("\(name) is a share from 0 to 1, not \(value).") }
        }
        if gate.needsReference, referenceModel == nil, referencePrecision == nil {
            throw ValidationError(
                "--max-accuracy-drop and --min-agreement compare with a reference; add --reference-precision or --reference-model."
            )
        }
    }

    private var gate: Gate {
        Gate(
            minimumAccuracy: minAccuracy, minimumMacroRecall: minMacroRecall, maximumAccuracyDrop: maxAccuracyDrop,
            minimumAgreement: minAgreement)
    }

    func run() async throws {
        let classifier = try await model.classifier()
        let dataset = try data.dataset(for: classifier)
        if classifier.kind != .oneLabel, !asksForLabels { return try evaluateScores(classifier, dataset) }
        let reference = try await reference(for: classifier)
        var bar = ProgressBar(title: "evaluate")
        defer { bar.clear() }
        let evaluation: Evaluation
        do {
            evaluation = try Evaluation(classifier, on: dataset, gate: gate, reference: reference) { bar.show($0, of: $1) }
        } catch let error as TextError {
            throw dataset.locate(error)
        }
        bar.clear()
        if let report { try FileReplacement.write(evaluation.report.serialized(pretty: true) + [0x0A], to: report) }
        if let markdown { try FileReplacement.append(Array(evaluation.markdown.utf8), to: markdown) }
        if writeProfile {
            let path = classifier.directory.file(ReferenceProfile.fileName)
            try FileReplacement.write(evaluation.profile.json.serialized(pretty: true) + [0x0A], to: path)
        }
        try StandardOutput.write(Array(summary(evaluation).utf8))
        if let failures = evaluation.gateFailures, !failures.isEmpty {
            StandardError.write(failures.map { "apus: the gate failed: \($0)\n" }.joined())
            throw ExitCode(1)
        }
    }

    /// Whether an option needs a model that takes one label of several.
    private var asksForLabels: Bool {
        [minAccuracy, minMacroRecall, maxAccuracyDrop, minAgreement].contains { $0 != nil } || referenceModel != nil
            || referencePrecision != nil || markdown != nil || writeProfile
    }

    private func evaluateScores(_ classifier: Classifier, _ dataset: Dataset) throws {
        var bar = ProgressBar(title: "evaluate")
        defer { bar.clear() }
        let evaluation: ScoreEvaluation
        do {
            evaluation = try ScoreEvaluation(classifier, on: dataset) { bar.show($0, of: $1) }
        } catch let error as TextError {
            throw dataset.locate(error)
        }
        bar.clear()
        if let report { try FileReplacement.write(evaluation.report.serialized(pretty: true) + [0x0A], to: report) }
        try StandardOutput.write(Array(evaluation.summary.utf8))
    }

    private func reference(for classifier: Classifier) async throws -> Classifier? {
        guard referenceModel != nil || referencePrecision != nil else { return nil }
        var options = try model.options()
        if let referencePrecision {
            options.precision = referencePrecision
            if referencePrecision == .int8 { options.backend = nil }
        }
        var directory = classifier.directory
        if let referenceModel { directory = try await ModelLocation.resolve(referenceModel) }
        if directory.isFastText, referencePrecision == nil { (options.precision, options.backend) = (.f32, nil) }
        let reference = try Classifier(directory, options: options)
        guard
            directory != classifier.directory || reference.precision != classifier.precision
                || reference.backend != classifier.backend
        else {
            throw InputError(
                "the reference",
                "is the model itself, \(directory.name) in \(reference.precision.rawValue), which agrees with itself "
                    + "in all; give another --reference-precision or --reference-model")
        }
        return reference
    }

    private func summary(_ evaluation: Evaluation) -> String {
        let metrics = evaluation.metrics
        let labels = evaluation.labels.map(\.printable)
        let width = labels.map(\.count).max() ?? 0
        func percent(_ value: Double) -> String { String(format: "%6.2f %%", 100 * value) }
        func interval(_ range: ClosedRange<Double>) -> String {
            String(format: "(95 %% interval %.2f to %.2f %%)", 100 * range.lowerBound, 100 * range.upperBound)
        }
        func pad(_ label: String, _ width: Int) -> String {
            label + String(repeating: " ", count: max(0, width - label.count))
        }
        var lines = [
            "model          \(evaluation.model.printable) (\(evaluation.architecture), \(evaluation.precision), \(evaluation.isa), "
                + "\(evaluation.threads) threads)",
            "data           \(evaluation.dataset.printable), \(evaluation.split): \(evaluation.predicted.count) texts",
            "accuracy      \(percent(metrics.accuracy))   \(interval(evaluation.intervals.accuracy))",
            "macro recall  \(percent(metrics.macroRecall))   \(interval(evaluation.intervals.macroRecall))",
            "macro F1      \(percent(metrics.macroF1))",
            String(
                format: "latency        p50 %.2f, p90 %.2f, p99 %.2f, mean %.2f ms; %.0f texts/s", evaluation.latency.p50,
                evaluation.latency.p90, evaluation.latency.p99, evaluation.latency.mean, evaluation.textsPerSecond),
        ]
        if let comparison = evaluation.comparison {
            lines += [
                "reference      \(comparison.model.printable), \(comparison.precision): accuracy\(percent(comparison.accuracy))",
                "accuracy lost \(percent(comparison.accuracyDrop))   \(interval(comparison.dropInterval))",
                "same labels   \(percent(comparison.agreement))"
                    + (comparison.largestLogitDifference.map { String(format: "   (logits differ by %.4f at most)", $0) }
                        ?? ""),
            ]
        }
        lines += [
            "",
            pad("", width) + "  precision    recall        F1  support   predicted as "
                + labels.joined(separator: ", "),
        ]
        for (index, label) in labels.enumerated() {
            let figures = metrics.classes[index]
            let counts = metrics.confusion[index].map { String(format: "%7d", $0) }.joined()
            lines.append(
                pad(label, width) + "   \(percent(figures.precision))  \(percent(figures.recall))  \(percent(figures.f1))"
                    + String(format: "  %7d  ", figures.support) + counts)
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
