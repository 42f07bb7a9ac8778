import Foundation

/// A model whose scores are no shares of one label, measured on a data set: several labels a text, or a number.
public struct ScoreEvaluation: Sendable {
    public enum Metrics: Sendable {
        case labels(MultiLabelMetrics)
        case numbers(RegressionMetrics)
    }

    public let model: String
    public let metrics: Metrics
    /// How far its probabilities may be believed; nil for a regression.
    public let calibration: CalibrationMetrics?
    private let classifier: Classifier
    private let dataset: Dataset
    private let latency: LatencySummary

    /// Runs the model over the data set, text by text.
    public init(
        _ classifier: Classifier, on dataset: Dataset, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws {
        if classifier.kind == .numbers, classifier.labels.count > 1 {
            throw InputError(
                classifier.directory.name,
                "answers \(classifier.labels.count) numbers a text; an evaluation of a regression is of one")
        }
        var scores: [[Float]] = []
        var times: [Double] = []
        let clock = ContinuousClock()
        for (index, text) in dataset.texts.enumerated() {
            let time = try clock.measure {
                let input = try classifier.input(text, pair: dataset.pairs[index], index: index)
                scores.append(try classifier.predict([input])[0].scores.map(\.value))
            }
            times.append(time / .milliseconds(1))
            progress(index + 1, dataset.texts.count)
        }
        self.classifier = classifier
        self.dataset = dataset
        model = classifier.directory.name
        latency = LatencySummary(milliseconds: times)
        switch dataset.truth {
        case .sets(let sets):
            metrics = .labels(MultiLabelMetrics(truth: sets, scores: scores, threshold: classifier.threshold))
            calibration = CalibrationMetrics(truth: sets, scores: scores)
        case .numbers(let numbers):
            metrics = .numbers(RegressionMetrics(truth: numbers, predicted: scores.map { Double($0[0]) }))
            calibration = nil
        case .labels: preconditionFailure("a data set of single labels is for Evaluation")
        }
    }

    /// The report that `apus evaluate --report` writes.
    public var report: JSONValue {
        var members: [JSONValue.Member] = [
            .init("model", .string(model)), .init("weights_sha256", .string(classifier.weightsDigest())),
            .init("model_digest", .string(classifier.modelDigest().hexadecimal)),
            .init("model_parts", classifier.modelDigest().json),
            .init("architecture", .string(classifier.architecture)),
            .init("precision", .string(classifier.precision.rawValue)),
            .init("isa", .string(classifier.instructionSet.name)), .init("threads", .integer(classifier.threads)),
            .init("dataset", .string(dataset.name)), .init("split", .string(dataset.split)),
            .init("examples", .integer(dataset.texts.count)),
        ]
        switch metrics {
        case .labels(let metrics):
            members += [
                .init("threshold", .float(classifier.threshold)), .init("micro_f1", .number(metrics.microF1)),
                .init("macro_f1", .number(metrics.macroF1)), .init("exact_match", .number(metrics.exactMatch)),
                .init("mean_average_precision", Self.number(metrics.meanAveragePrecision)),
                .init(
                    "per_class",
                    .object(
                        zip(classifier.labels, metrics.labels).map { name, figures in
                            .init(
                                name,
                                [
                                    "precision": .number(figures.precision), "recall": .number(figures.recall),
                                    "f1": .number(figures.f1), "support": .integer(figures.support),
                                    "average_precision": Self.number(figures.averagePrecision),
                                ])
                        })),
            ]
        case .numbers(let metrics):
            members += [
                .init("mean_squared_error", .number(metrics.meanSquaredError)),
                .init("pearson", Self.number(metrics.pearson)),
                .init("spearman", Self.number(metrics.spearman)),
            ]
        }
        members += [
            .init("calibration", calibration?.json ?? nil),
            .init("applied_calibration", classifier.calibration?.summary ?? nil),
        ]
        members.append(
            .init(
                "latency_ms",
                [
                    "p50": .number(latency.p50), "p90": .number(latency.p90), "p99": .number(latency.p99),
                    "mean": .number(latency.mean),
                ]))
        return .object(members)
    }

    private static func number(_ value: Double?) -> JSONValue { value.map(JSONValue.number) ?? .null }

    /// For a person.
    public var summary: String {
        func percent(_ value: Double) -> String { String(format: "%6.2f %%", 100 * value) }
        func figure(_ value: Double?) -> String { value.map { String(format: "%7.4f", $0) } ?? "undefined" }
        var lines = [
            "model                   \(model.printable) (\(classifier.architecture), \(classifier.precision), "
                + "\(classifier.instructionSet.name), \(classifier.threads) threads)",
            "data                    \(dataset.name.printable), \(dataset.split): \(dataset.texts.count) texts",
        ]
        switch metrics {
        case .labels(let metrics):
            lines += [
                "micro F1               \(percent(metrics.microF1))   (threshold \(classifier.threshold))",
                "macro F1               \(percent(metrics.macroF1))",
                "exact match            \(percent(metrics.exactMatch))",
                "mean average precision \(figure(metrics.meanAveragePrecision))",
            ]
        case .numbers(let metrics):
            lines += [
                "mean squared error     \(figure(metrics.meanSquaredError))",
                "Pearson                \(figure(metrics.pearson))", "Spearman               \(figure(metrics.spearman))",
            ]
        }
        for (name, value, interval) in calibration?.rows ?? [] {
            lines.append(
                name.padding(toLength: 23, withPad: " ", startingAt: 0)
                    + String(
                        format: "%8.4f     (95 %% interval %.4f to %.4f)", value, interval.lowerBound, interval.upperBound))
        }
        lines.append(
            String(format: "latency                 p50 %.2f, p90 %.2f, p99 %.2f ms", latency.p50, latency.p90, latency.p99))
        if case .labels(let metrics) = metrics {
            let names = classifier.labels.map(\.printable)
            let width = names.map(\.count).max() ?? 0
            func pad(_ name: String) -> String { name + String(repeating: " ", count: width - name.count) }
            lines += ["", pad("") + "  precision    recall        F1  average precision   support"]
            for (name, figures) in zip(names, metrics.labels) {
                lines.append(
                    pad(name) + "   \(percent(figures.precision))  \(percent(figures.recall))  \(percent(figures.f1))"
                        + "          \(figure(figures.averagePrecision))" + String(format: "  %8d", figures.support))
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
