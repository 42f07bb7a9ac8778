import Foundation

extension Evaluation {
    /// The report that `apus evaluate --report` writes.
    public var report: JSONValue {
        func interval(_ range: ClosedRange<Double>) -> JSONValue {
            [.number(range.lowerBound), .number(range.upperBound)]
        }
        func perClass(_ metrics: ClassificationMetrics) -> JSONValue {
            .object(
                zip(labels, metrics.classes).map { label, figures in
                    .init(
                        label,
                        [
                            "precision": .number(figures.precision), "recall": .number(figures.recall),
                            "f1": .number(figures.f1), "support": .integer(figures.support),
                        ])
                })
        }
        return [
            "model": .string(model), "weights_sha256": .string(weightsDigest),
            "model_digest": .string(modelDigest.hexadecimal), "model_parts": modelDigest.json,
            "architecture": .string(architecture),
            "precision": .string(precision), "isa": .string(isa), "threads": .integer(threads), "dataset": .string(dataset),
            "split": .string(split), "examples": .integer(predicted.count),
            "accuracy": .number(metrics.accuracy), "accuracy_interval": interval(intervals.accuracy),
            "macro_recall": .number(metrics.macroRecall), "macro_recall_interval": interval(intervals.macroRecall),
            "macro_f1": .number(metrics.macroF1), "per_class": perClass(metrics),
            "confusion_matrix": .array(metrics.confusion.map { .array($0.map(JSONValue.integer)) }),
            "calibration": calibration.json, "applied_calibration": appliedCalibration?.summary ?? nil,
            "slices": sliceField.map { field in
                [
                    "field": .string(field), "minimum_examples": .integer(minimumSliceExamples),
                    "values": .array(
                        slices.map { slice in
                            [
                                "value": .string(slice.value), "examples": .integer(slice.examples),
                                "accuracy": .number(slice.metrics.accuracy),
                                "accuracy_interval": interval(slice.intervals.accuracy),
                                "macro_recall": .number(slice.metrics.macroRecall),
                                "macro_recall_interval": interval(slice.intervals.macroRecall),
                                "macro_f1": .number(slice.metrics.macroF1), "per_class": perClass(slice.metrics),
                                "calibration": slice.calibration.json,
                            ]
                        }),
                ]
            } ?? nil,
            "latency_ms": [
                "p50": .number(latency.p50), "p90": .number(latency.p90), "p99": .number(latency.p99),
                "mean": .number(latency.mean),
            ],
            "texts_per_second": .number(textsPerSecond),
            "reference": comparison.map {
                [
                    "model": .string($0.model), "precision": .string($0.precision), "accuracy": .number($0.accuracy),
                    "agreement": .number($0.agreement), "accuracy_drop": .number($0.accuracyDrop),
                    "accuracy_drop_interval": interval($0.dropInterval), "mcnemar": $0.test.json,
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
        lines += calibration.rows.map {
            row([
                $0.name, String(format: "%.4f", $0.value),
                String(format: "%.4f to %.4f", $0.interval.lowerBound, $0.interval.upperBound),
            ])
        }
        if let appliedCalibration {
            lines.append(
                row(["temperature of the calibration", String(format: "%.3f", appliedCalibration.temperature), ""]))
        }
        if let comparison {
            let name = "\(comparison.model), \(comparison.precision)"
            lines += [
                row(["accuracy of the reference (\(name))", percent(comparison.accuracy), ""]),
                row(["accuracy lost to it", percent(comparison.accuracyDrop), interval(comparison.dropInterval)]),
                row(["same labels as it", percent(comparison.agreement), ""]),
                row([
                    "right alone: model, reference", "\(comparison.test.modelOnly), \(comparison.test.referenceOnly)",
                    String(format: "McNemar's exact test: p = %.3g", comparison.test.pValue),
                ]),
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
        if let sliceField {
            lines += [
                "",
                row([sliceField, "texts", "accuracy", "95 % interval", "macro recall", "95 % interval", "calibration error"]
                ),
                "| --- " + String(repeating: "| ---: ", count: 6) + "|",
            ]
            lines += slices.map { slice in
                row([
                    slice.value.shortened(to: 80) + (slice.examples < minimumSliceExamples ? " (too few to be gated)" : ""),
                    "\(slice.examples)", percent(slice.metrics.accuracy), interval(slice.intervals.accuracy),
                    percent(slice.metrics.macroRecall), interval(slice.intervals.macroRecall),
                    String(format: "%.4f", slice.calibration.expectedCalibrationError),
                ])
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Names come from files: they must not end a cell or begin a tag.
    private static func escaped(_ text: String) -> String {
        text.printable.replacing("|", with: "\\|").replacing("<", with: "&lt;")
    }
}
