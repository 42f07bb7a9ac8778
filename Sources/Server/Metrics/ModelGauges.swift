import Engine

/// What the models are and have now, read when somebody looks: a model that is gone has no figures. Nothing is published where
/// there is no value.
enum ModelGauges {
    private typealias Value = (labels: [(String, String)], value: Double)

    /// - Parameter live: by the models' numbers, how right they were.
    static func write(_ all: ModelRegistry.Models, _ live: [UInt16: LiveAccuracy], to text: inout PrometheusText) {
        let models = all.served
        func canary(_ values: @escaping (Canary) -> [Value]) -> (ServedModel) -> [Value] {
            { model in all.canary.flatMap { $0.name == model.names.name ? values($0) : nil } ?? [] }
        }
        func judged(_ figures: @escaping (LiveAccuracy) -> [Value]) -> (ServedModel) -> [Value] {
            { model in model.accuracy(live).map(figures) ?? [] }
        }
        // One report for all of its gauges.
        let reports = Dictionary(
            uniqueKeysWithValues: models.compactMap { model in model.drift.map { (model.names.name, $0.current) } })
        func drift(_ values: @escaping (DriftMonitor.Report) -> [Value]) -> (ServedModel) -> [Value] {
            { model in reports[model.names.name].map(values) ?? [] }
        }
        let rows: [(name: String, values: (ServedModel) -> [Value])] = [
            ("apus_cache_hits_total", { [([], Double($0.classifier.cacheHits))] }),
            ("apus_canary_share", canary { [([], $0.share)] }),
            (
                "apus_canary_state",
                canary { canary in Canary.State.allCases.map { ([("state", $0.rawValue)], $0 == canary.state ? 1 : 0) } }
            ),
            ("apus_drift_embedding_distance", drift(embedding)),
            ("apus_drift_js_distance", drift { figures($0, \.jensenShannonDistance) }),
            ("apus_drift_psi", drift { figures($0, \.stabilityIndex) }),
            ("apus_drift_samples", drift { [([], Double($0.samples))] }),
            ("apus_gate_accuracy", { $0.gate.map { [([], $0.accuracy)] } ?? [] }),
            ("apus_live_accuracy", judged { [([], $0.metrics.accuracy)] }),
            (
                "apus_live_accuracy_bound",
                judged { [([("bound", "lower")], $0.interval.lowerBound), ([("bound", "upper")], $0.interval.upperBound)] }
            ),
            ("apus_live_answers", judged { [([], Double($0.count))] }),
            ("apus_live_confidence", judged { [([], $0.meanConfidence)] }),
            ("apus_live_macro_recall", judged { [([], $0.metrics.macroRecall)] }),
            ("apus_model_info", { [(facts($0), 1)] }),
            ("apus_queue_depth", { [([], Double($0.queue.depth))] }),
        ]
        for (name, values) in rows {
            let samples = models.flatMap { model in
                values(model).map { ([("model", model.names.name)] + $0.labels, $0.value) }
            }
            if samples.isEmpty { continue }
            text.begin(
                name, kind: name.hasSuffix("_total") ? "counter" : "gauge", help: ServerMetrics.descriptions[name]?.help)
            for (labels, value) in samples { text.add(name, PrometheusText.labels(labels), value) }
        }
    }

    private static func figures(_ report: DriftMonitor.Report, _ figure: (DriftMonitor.Figures) -> Double) -> [Value] {
        ReferenceProfile.Feature.allCases.compactMap { feature in
            report.figures[feature].map { ([("feature", feature.rawValue)], figure($0)) }
        }
    }

    private static func embedding(_ report: DriftMonitor.Report) -> [Value] {
        guard let shift = report.embedding else { return [] }
        return [([("part", "mean")], shift.mean), ([("part", "covariance")], shift.covariance)]
    }

    private static func facts(_ model: ServedModel) -> [(String, String)] {
        let classifier = model.classifier
        return [
            ("id", classifier.directory.name), ("revision", classifier.directory.revision ?? ""),
            ("precision", classifier.precision.rawValue), ("isa", classifier.instructionSet.name),
            ("model_digest", model.digest),
        ]
    }
}
