import ArgumentParser
import Engine
import Foundation

struct Evaluate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures a model on labelled texts. With minimums it is a gate: exit code 1 if the model misses one.")

    @OptionGroup var model: ModelOptions

    @OptionGroup var data: DatasetOptions

    @Option(help: "The minimum accuracy, 0 to 1.")
    var minAccuracy: Double?

    @Option(help: "The minimum macro recall, 0 to 1.")
    var minMacroRecall: Double?

    @Option(help: "The minimum recall of one label, such as positive=0.5; may be repeated.")
    var minRecall: [String] = []

    @Option(
        help: "Splits the figures by this field or column of a file, such as lang, and holds each slice to the minimums."
    )
    var sliceField: String?

    @Option(help: "The minimum accuracy of a slice (default: --min-accuracy).")
    var minSliceAccuracy: Double?

    @Option(help: "The minimum macro recall of a slice (default: --min-macro-recall).")
    var minSliceMacroRecall: Double?

    @Option(help: "A slice with fewer texts is reported, but not held to the minimums.")
    var minSliceExamples = Gate.usualSliceExamples

    @Option(help: "Compares with another model (default: the same one in --reference-precision).")
    var referenceModel: String?

    @Option(help: "Compares with this precision: int8 or f32 (default: --precision).")
    var referencePrecision: Precision?

    @Option(help: "The maximum loss of accuracy against the reference, 0 to 1: 0.003 is 0.3 points.")
    var maxAccuracyDrop: Double?

    @Option(help: "The minimum share of texts with the reference's label, 0 to 1.")
    var minAgreement: Double?

    @Option(help: "Writes the figures to this file, as JSON.")
    var report: String?

    @Option(help: "Appends a summary in Markdown to this file, such as $GITHUB_STEP_SUMMARY.")
    var markdown: String?

    @Flag(
        name: [.long, .customLong("write-profile")],
        help: "Writes reference_profile.json, which apus serve compares its predictions with, into the model directory.")
    var driftReference = false

    func validate() throws {
        let shares = [
            ("--min-accuracy", minAccuracy), ("--min-macro-recall", minMacroRecall),
            ("--max-accuracy-drop", maxAccuracyDrop), ("--min-agreement", minAgreement),
            ("--min-slice-accuracy", minSliceAccuracy), ("--min-slice-macro-recall", minSliceMacroRecall),
        ]
        for (name, value) in shares {
            if let value, !(0...1 ~= value) { throw ValidationError("\(name) is a share from 0 to 1, not \(value).") }
        }
        for floor in minRecall where Self.parts(ofFloor: floor) == nil {
            throw ValidationError(
                "--min-recall must be a label and its minimum recall, 0 to 1, such as positive=0.5, not \(floor).")
        }
        if sliceField == nil, minSliceAccuracy != nil || minSliceMacroRecall != nil {
            throw ValidationError("--min-slice-accuracy and --min-slice-macro-recall are for slices; add --slice-field.")
        }
        if minSliceExamples < 1 {
            throw ValidationError("--min-slice-examples must be at least 1, not \(minSliceExamples).")
        }
        if maxAccuracyDrop != nil || minAgreement != nil, referenceModel == nil, referencePrecision == nil {
            throw ValidationError(
                "--max-accuracy-drop and --min-agreement compare with a reference; add --reference-precision or --reference-model."
            )
        }
    }

    /// A label may hold a "=" itself.
    private static func parts(ofFloor floor: String) -> (label: String, minimum: Double)? {
        guard let sign = floor.lastIndex(of: "="), sign > floor.startIndex,
            let minimum = Double(floor[floor.index(after: sign)...]), 0...1 ~= minimum
        else { return nil }
        return (String(floor[..<sign]), minimum)
    }

    private func gate(for classifier: Classifier) throws(InputError) -> Gate {
        let names = try data.names(of: classifier)
        var floors: [Gate.RecallFloor] = []
        for (name, minimum) in minRecall.compactMap(Self.parts) {
            let index = try names.index(name, "--min-recall")
            floors.append(.init(label: classifier.labels[index], index: index, minimum: minimum))
        }
        return Gate(
            minimumAccuracy: minAccuracy, minimumMacroRecall: minMacroRecall, minimumRecalls: floors,
            maximumAccuracyDrop: maxAccuracyDrop, minimumAgreement: minAgreement, minimumSliceAccuracy: minSliceAccuracy,
            minimumSliceMacroRecall: minSliceMacroRecall, minimumSliceExamples: minSliceExamples)
    }

    func run() async throws {
        let classifier = try await model.classifier()
        let gate = try gate(for: classifier)
        let dataset = try data.dataset(for: classifier, sliceField: sliceField)
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
        if driftReference {
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
            || referencePrecision != nil || !minRecall.isEmpty || sliceField != nil || markdown != nil || driftReference
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
        ]
        lines += evaluation.calibration.rows.map { name, value, interval in
            pad(name, 16)
                + String(format: "%.4f   (95 %% interval %.4f to %.4f)", value, interval.lowerBound, interval.upperBound)
        }
        if let calibration = evaluation.appliedCalibration {
            lines.append(
                String(format: "calibrated     temperature %.3f", calibration.temperature)
                    + (calibration.bias == nil ? "" : " and a bias a label")
                    + ", fitted on \(calibration.dataset.printable), \(calibration.split.printable)")
        }
        lines += [
            String(
                format: "latency        p50 %.2f, p90 %.2f, p99 %.2f, mean %.2f ms; %.0f texts/s", evaluation.latency.p50,
                evaluation.latency.p90, evaluation.latency.p99, evaluation.latency.mean, evaluation.textsPerSecond)
        ]
        if let comparison = evaluation.comparison {
            lines += [
                "reference      \(comparison.model.printable), \(comparison.precision): accuracy\(percent(comparison.accuracy))",
                "accuracy lost \(percent(comparison.accuracyDrop))   \(interval(comparison.dropInterval))",
                "same labels   \(percent(comparison.agreement))"
                    + (comparison.largestLogitDifference.map { String(format: "   (logits differ by %.4f at most)", $0) }
                        ?? ""),
                "right alone    \(comparison.test.modelOnly) texts the model, \(comparison.test.referenceOnly) the reference   "
                    + String(format: "(McNemar's exact test: p = %.3g)", comparison.test.pValue),
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
        if let sliceField = evaluation.sliceField {
            let names = evaluation.slices.map { $0.value.shortened(to: 80).printable }
            let width = max(sliceField.printable.count, names.map(\.count).max() ?? 0)
            lines += ["", pad(sliceField.printable, width) + "    texts    accuracy  macro recall  calib. error"]
            for (name, slice) in zip(names, evaluation.slices) {
                lines.append(
                    pad(name, width) + String(format: "  %7d", slice.examples)
                        + "   \(percent(slice.metrics.accuracy))     \(percent(slice.metrics.macroRecall))"
                        + String(format: "        %.4f", slice.calibration.expectedCalibrationError)
                        + (slice.examples < evaluation.minimumSliceExamples ? "   (too few to be gated)" : ""))
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
