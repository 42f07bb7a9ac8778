import Foundation

extension Evaluation {
    /// The report that `apus evaluate --report` writes.
    public var report: JSONValue {
        func interval(_ range: ClosedRange<Double>) -> JSONValue {
            [.number(range.lowerBound), .number(range.upperBound)]
        }
        return [
            "model": .string(model), "weights_sha256": .string(weightsDigest), "architecture": .string(architecture),
            "precision": .string(precision), "isa": .string(isa), "threads": .integer(threads), "dataset": .string(dataset),
            "split": .string(split), "examples": .integer(predicted.count),
            "accuracy": .number(metrics.accuracy), "accuracy_interval": interval(intervals.accuracy),
            "macro_recall": .number(metrics.macroRecall), "macro_recall_interval": interval(intervals.macroRecall),
            "macro_f1": .number(metrics.macroF1),
            "per_class": .object(
                zip(labels, metrics.classes).map { label, figures in
                    .init(
                        label,
                        [
                            "precision": .number(figures.precision), "recall": .number(figures.recall),
                            "f1": .number(figures.f1), "support": .integer(figures.support),
                        ])
                }),
            "confusion_matrix": .array(metrics.confusion.map { .array($0.map(JSONValue.integer)) }),
            "latency_ms": [
                "p50": .number(latency.p50), "p90": .number(latency.p90), "p99": .number(latency.p99),
                "mean": .number(latency.mean),
            ],
            "texts_per_second": .number(textsPerSecond),
            "reference": comparison.map {
                [
                    "model": .string($0.model), "precision": .string($0.precision), "accuracy": .number($0.accuracy),
                    "agreement": .number($0.agreement), "accuracy_drop": .number($0.accuracyDrop),
                    "accuracy_drop_interval": interval($0.dropInterval),
                    "max_abs_logit_difference": $0.largestLogitDifference.map { .number($0) } ?? nil,
                ]
            } ?? nil,
            "gate": gateFailures.map {
                ["passed": .bool($0.isEmpty), "failures": .array($0.map(JSONValue.string))]
            } ?? nil,
        ]
    }

    /// For a page of a CI job.
    public var markdown: String {
        func percent(_ value: Double) -> String { String(format: "%.2f %%", 100 * value) }
        func interval(_ range: ClosedRange<Double>) -> String {
            String(format: "%.2f to %.2f %%", 100 * range.lowerBound, 100 * range.upperBound)
        }
        func row(_ cells: [String]) -> String { "| " + cells.map(Self.escaped).joined(separator: " | ") + " |" }
        var lines = [
            "### \(gateFailures.map { $0.isEmpty ? "✅ The gate passed" : "❌ The gate failed" } ?? "Evaluation")", "",
        ]
        if let gateFailures, !gateFailures.isEmpty { lines += gateFailures.map { "- " + Self.escaped($0) } + [""] }
        lines += [
            Self.escaped("\(model) (\(architecture), \(precision), \(isa), \(threads) threads) on \(dataset), \(split): ")
                + "\(predicted.count) texts", "",
            row(["figure", "value", "95 % interval"]), "| --- | ---: | ---: |",
            row(["accuracy", percent(metrics.accuracy), interval(intervals.accuracy)]),
            row(["macro recall", percent(metrics.macroRecall), interval(intervals.macroRecall)]),
            row(["macro F1", percent(metrics.macroF1), ""]),
        ]
        if let comparison {
            let name = "\(comparison.model), \(comparison.precision)"
            lines += [
                row(["accuracy of the reference (\(name))", percent(comparison.accuracy), ""]),
                row(["accuracy lost to it", percent(comparison.accuracyDrop), interval(comparison.dropInterval)]),
                row(["same labels as it", percent(comparison.agreement), ""]),
            ]
        }
        lines += [
            row(["latency, p50", String(format: "%.2f ms", latency.p50), ""]),
            row(["latency, p99", String(format: "%.2f ms", latency.p99), ""]), "",
            row(["label", "precision", "recall", "F1", "texts"] + labels.map { "taken for \($0)" }),
            "| --- " + String(repeating: "| ---: ", count: 4 + labels.count) + "|",
        ]
        for (index, label) in labels.enumerated() {
            let figures = metrics.classes[index]
            lines.append(
                row(
                    [label, percent(figures.precision), percent(figures.recall), percent(figures.f1), "\(figures.support)"]
                        + metrics.confusion[index].map(String.init)))
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Names come from files: they must not end a cell or begin a tag.
    private static func escaped(_ text: String) -> String {
        text.printable.replacing("|", with: "\\|").replacing("<", with: "&lt;")
    }
}
