/// A model measured on a data set, and whether it passes its gate.
public struct Evaluation: Sendable {
    /// What a model must reach; nil is not asked for.
    public struct Gate: Sendable {
        public var minimumAccuracy: Double?
        public var minimumMacroRecall: Double?

        public init(minimumAccuracy: Double? = nil, minimumMacroRecall: Double? = nil) {
            self.minimumAccuracy = minimumAccuracy
            self.minimumMacroRecall = minimumMacroRecall
        }

        /// What was missed, a sentence each; nil where nothing was asked for.
        public func failures(_ metrics: ClassificationMetrics) -> [String]? {
            let bounds = [
                ("accuracy", metrics.accuracy, minimumAccuracy), ("macro recall", metrics.macroRecall, minimumMacroRecall),
            ]
            guard bounds.contains(where: { $0.2 != nil }) else { return nil }
            return bounds.compactMap { name, value, minimum in
                // Written so that a NaN fails.
                guard let minimum, !(value >= minimum) else { return nil }
                return "\(name) \(value) is under the minimum \(minimum)"
            }
        }
    }

    public let model: String
    public let architecture: String
    public let precision: String
    public let isa: String
    public let threads: Int
    public let labels: [String]
    public let dataset: String
    public let split: String
    public let metrics: ClassificationMetrics
    /// Of each text alone, tokenizing included.
    public let latency: LatencySummary
    public let textsPerSecond: Double
    public let gateFailures: [String]?
    /// What a server compares its predictions with.
    public let profile: ReferenceProfile

    /// Runs the model over the data set, text by text, as a client would send them.
    public init(
        _ classifier: Classifier, on dataset: Dataset, gate: Gate = Gate(), progress: (Int, Int) -> Void = { _, _ in }
    ) throws {
        let clock = ContinuousClock()
        var predictions: [Prediction] = []
        var times: [Double] = []
        for (index, text) in dataset.texts.enumerated() {
            let time = try clock.measure {
                let encoding = try classifier.tokenizer.encode(text, index: index)
                predictions.append(try classifier.predict([encoding])[0])
            }
            times.append(time / .milliseconds(1))
            progress(index + 1, dataset.texts.count)
        }
        model = classifier.directory.name
        architecture = classifier.architecture
        precision = classifier.precision.rawValue
        isa = classifier.instructionSet.name
        threads = classifier.threads
        labels = classifier.labels
        self.dataset = dataset.name
        split = dataset.split
        metrics = ClassificationMetrics(
            truth: dataset.labels, predicted: predictions.map(\.bestIndex), labelCount: classifier.labels.count)
        latency = LatencySummary(milliseconds: times)
        textsPerSecond = Double(times.count) / (times.reduce(0, +) / 1000)
        gateFailures = gate.failures(metrics)
        profile = ReferenceProfile(
            of: predictions, labels: labels, dataset: dataset.name, split: dataset.split, precision: precision)
    }

    /// The report that `apus evaluate --report` writes.
    public var report: JSONValue {
        [
            "model": .string(model), "architecture": .string(architecture), "precision": .string(precision),
            "isa": .string(isa), "threads": .integer(threads), "dataset": .string(dataset), "split": .string(split),
            "examples": .integer(metrics.confusion.joined().reduce(0, +)), "accuracy": .number(metrics.accuracy),
            "macro_recall": .number(metrics.macroRecall), "macro_f1": .number(metrics.macroF1),
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
            "texts_per_second": .number(textsPerSecond), "reference": nil,
            "gate": gateFailures.map {
                ["passed": .bool($0.isEmpty), "failures": .array($0.map(JSONValue.string))]
            } ?? nil,
        ]
    }
}
