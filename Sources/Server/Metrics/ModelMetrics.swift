import CoreMetrics
import Engine

/// The figures of one model's work, under its name.
package struct ModelMetrics: Sendable {
    private let predictions: [String: Counter]
    private let confidence: Recorder
    private let inputTokens: Recorder
    private let truncated: Counter
    private let tokenizing: CoreMetrics.Timer
    private let queueing: CoreMetrics.Timer
    private let inference: CoreMetrics.Timer
    private let batchTexts: Recorder
    private let batchTokens: Recorder

    /// A model that takes another's name counts on where that one stopped.
    package init(_ name: String, labels: [String], in registry: PrometheusRegistry) {
        let model = [("model", name)]
        func histogram(_ label: String) -> Recorder {
            Recorder(label: label, dimensions: model, aggregate: true, factory: registry)
        }
        func timer(_ label: String) -> CoreMetrics.Timer { Timer(label: label, dimensions: model, factory: registry) }
        predictions = Dictionary(
            uniqueKeysWithValues: labels.map {
                ($0, Counter(label: "apus_predictions_total", dimensions: model + [("label", $0)], factory: registry))
            })
        confidence = histogram("apus_prediction_confidence")
        inputTokens = histogram("apus_input_tokens")
        truncated = Counter(label: "apus_truncated_total", dimensions: model, factory: registry)
        tokenizing = timer("apus_tokenize_seconds")
        queueing = timer("apus_queue_seconds")
        inference = timer("apus_inference_seconds")
        batchTexts = histogram("apus_batch_texts")
        batchTokens = histogram("apus_batch_tokens")
    }

    package func record(batchOf encodings: [Encoding], took duration: Duration) {
        batchTexts.record(encodings.count)
        batchTokens.record(encodings.reduce(0) { $0 + $1.ids.count })
        inference.record(duration: duration)
    }

    package func record(_ answer: InferenceQueue.Answer, tokenized: Duration) {
        tokenizing.record(duration: tokenized)
        queueing.record(duration: answer.queued)
        for prediction in answer.predictions {
            predictions[prediction.best.label]?.increment()
            confidence.record(Double(prediction.best.value))
            inputTokens.record(prediction.tokens)
            if prediction.isTruncated { truncated.increment() }
        }
    }
}
