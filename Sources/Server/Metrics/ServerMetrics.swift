import CoreMetrics
import Engine
import Synchronization

/// Every figure that the server publishes.
package final class ServerMetrics: Sendable {
    package let registry = PrometheusRegistry(ServerMetrics.descriptions)

    private let requests: CachedMetrics<RequestKey, Counter>
    private let durations: CachedMetrics<HandlerKey, CoreMetrics.Timer>
    private let rejections: CachedMetrics<String, Counter>
    private let unwritten: Counter
    private let recordsWritten: Counter
    private let recordsDropped: Counter
    private let loadFailures: CachedMetrics<String, Counter>
    private let rollbacks: CachedMetrics<CanaryObjection.Reason, Counter>
    private let endedConnections: CachedMetrics<ConnectionRoom.End, Counter>
    private let inProgress: Meter
    private let connections: Meter

    private struct RequestKey: Hashable {
        let handler: String
        let method: String
        let status: Int
    }

    private struct HandlerKey: Hashable {
        let handler: String
        let method: String
    }

    package init() {
        let registry = registry
        requests = CachedMetrics { key in
            Counter(
                label: "http_requests_total",
                dimensions: [("handler", key.handler), ("method", key.method), ("status", "\(key.status)")],
                factory: registry)
        }
        durations = CachedMetrics { key in
            Timer(
                label: "http_request_duration_seconds", dimensions: [("handler", key.handler), ("method", key.method)],
                preferredDisplayUnit: .seconds, factory: registry)
        }
        rejections = CachedMetrics { reason in
            Counter(label: "apus_rejected_total", dimensions: [("reason", reason)], factory: registry)
        }
        unwritten = Counter(label: "apus_state_write_failures_total", factory: registry)
        recordsWritten = Counter(label: "apus_records_total", dimensions: [("result", "written")], factory: registry)
        recordsDropped = Counter(label: "apus_records_total", dimensions: [("result", "dropped")], factory: registry)
        loadFailures = CachedMetrics { reason in
            Counter(label: "apus_model_load_failures_total", dimensions: [("reason", reason)], factory: registry)
        }
        rollbacks = CachedMetrics { reason in
            Counter(label: "apus_canary_rollbacks_total", dimensions: [("reason", reason.rawValue)], factory: registry)
        }
        for reason in CanaryObjection.Reason.allCases { rollbacks[reason].increment(by: 0) }
        endedConnections = CachedMetrics { end in
            Counter(label: "apus_connections_ended_total", dimensions: [("reason", end.rawValue)], factory: registry)
        }
        for end in ConnectionRoom.End.allCases { endedConnections[end].increment(by: 0) }
        inProgress = Meter(label: "http_requests_in_progress", factory: registry)
        connections = Meter(label: "apus_connections", factory: registry)
        for reason in RejectionReason.allCases { rejections[reason.rawValue].increment(by: 0) }
        for reason in ModelLoadFailure.Reason.allCases { loadFailures[reason.rawValue].increment(by: 0) }
    }

    /// Why a request was turned away though nothing was wrong with it.
    enum RejectionReason: String, CaseIterable {
        case queueFull = "queue_full"
        case deadline
        case clientGone = "client_gone"
        case stopping
    }

    /// A series that begins with its first failure would have no rate then, and no alert would see that one.
    func beginSeries(ofPostsTo handler: String) {
        for status in [200, 429, 500, 503, 504] {
            requests[.init(handler: handler, method: "POST", status: status)].increment(by: 0)
        }
    }

    /// A request that no handler saw: it was no HTTP, or did not arrive in time.
    func requestRefused(status: Int) { requests[RequestKey(handler: "other", method: "other", status: status)].increment() }

    func modelLoadFailed(_ reason: ModelLoadFailure.Reason) { loadFailures[reason.rawValue].increment() }
    func canaryRolledBack(_ reason: CanaryObjection.Reason) { rollbacks[reason].increment() }
    func connectionEnded(_ end: ConnectionRoom.End) { endedConnections[end].increment() }

    package func requestStarted() { inProgress.increment(by: 1) }

    package func requestEnded(handler: String, method: String, status: Int, error: String?, took duration: Duration) {
        inProgress.decrement(by: 1)
        requests[RequestKey(handler: handler, method: method, status: status)].increment()
        durations[HandlerKey(handler: handler, method: method)].record(duration: duration)
        if let error, RejectionReason(rawValue: error) != nil { rejections[error].increment() }
    }

    /// Somebody said which label was right.
    func feedback(model: String, predicted: String, actual: String) {
        Counter(
            label: "apus_feedback_total", dimensions: [("model", model), ("predicted", predicted), ("actual", actual)],
            factory: registry
        ).increment()
    }

    /// What outlives a restart could not be written.
    func stateNotWritten() { unwritten.increment() }

    func records(written: Int = 0, dropped: Int) {
        recordsWritten.increment(by: Int64(written))
        recordsDropped.increment(by: Int64(dropped))
    }

    /// The whole text for Prometheus, with what is only asked for when somebody looks.
    func text(_ models: ModelRegistry.Models, connections open: Int, feedback: Feedback?) -> String {
        connections.set(open)
        var text = registry.prometheusText()
        ModelGauges.write(models, feedback?.live() ?? [:], to: &text)
        ProcessMetrics.current?.write(to: &text)
        return text.text
    }
}

/// Metrics of one name by their dimensions, made when they are first used.
private final class CachedMetrics<Key: Hashable & Sendable, Metric: Sendable>: Sendable {
    private let metrics = Mutex<[Key: Metric]>([:])
    private let make: @Sendable (Key) -> Metric

    init(_ make: @escaping @Sendable (Key) -> Metric) { self.make = make }

    subscript(key: Key) -> Metric {
        metrics.withLock { metrics in
            if let metric = metrics[key] { return metric }
            let metric = make(key)
            metrics[key] = metric
            return metric
        }
    }
}

extension ServerMetrics {
    private static let durations = [
        0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5,
        10, 30,
    ]
    private static let shortDurations = [
        0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5,
        30,
    ]
    private static let powers = (0...14).map { Double(1 << $0) }

    static let descriptions: [String: PrometheusRegistry.Description] = [
        "http_requests_total": .init(help: "Requests answered."),
        "http_request_duration_seconds": .init(help: "Time from a request's head to its answer.", buckets: durations),
        "http_requests_in_progress": .init(help: "Requests being answered."),
        "apus_predictions_total": .init(help: "Texts predicted, by their most probable label."),
        "apus_prediction_confidence": .init(
            help: "The most probable label's probability.", buckets: [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1]),
        "apus_input_tokens": .init(help: "Tokens of a text as the model reads it.", buckets: powers.dropLast(3)),
        "apus_batch_texts": .init(help: "Texts in a forward pass.", buckets: powers.dropLast(4)),
        "apus_batch_tokens": .init(help: "Tokens in a forward pass.", buckets: Array(powers)),
        "apus_queue_depth": .init(help: "Texts accepted that wait for a forward pass."),
        "apus_connections": .init(help: "Open connections."),
        "apus_connections_ended_total": .init(help: "Connections ended by the server rather than by their client."),
        "apus_tokenize_seconds": .init(help: "Time to tokenize the texts of a request.", buckets: shortDurations),
        "apus_queue_seconds": .init(help: "Time that a request waited for the model.", buckets: shortDurations),
        "apus_inference_seconds": .init(help: "Time of a forward pass.", buckets: shortDurations),
        "apus_rejected_total": .init(help: "Valid requests that were turned away, by reason."),
        "apus_truncated_total": .init(help: "Texts cut to the length that the model reads."),
        "apus_cache_hits_total": .init(help: "Texts answered with the scores of an earlier one with the same tokens."),
        "apus_drift_psi": .init(help: "Population stability index of recent predictions against the reference profile."),
        "apus_drift_js_distance": .init(
            help: "Jensen-Shannon distance (base 2) of recent predictions to the reference profile."),
        "apus_drift_embedding_distance": .init(
            help: "Distance of recent texts' embeddings to the reference profile's, of their mean and covariance."),
        "apus_drift_samples": .init(help: "Predictions in the drift window."),
        "apus_feedback_total": .init(help: "Answers that feedback was given to, by the predicted and the actual label."),
        "apus_live_answers": .init(help: "Judged answers that live accuracy is computed from."),
        "apus_live_accuracy": .init(help: "Share of the judged answers that were right."),
        "apus_live_accuracy_bound": .init(help: "Bounds of Wilson's 95 % interval of live accuracy."),
        "apus_live_macro_recall": .init(help: "Mean recall of the judged answers over the labels."),
        "apus_live_confidence": .init(help: "Mean probability that the model gave the labels of the judged answers."),
        "apus_state_write_failures_total": .init(help: "Failures to write answers and feedback to --state."),
        "apus_records_total": .init(help: "Texts and feedback for --record that were written, or had to be dropped."),
        "apus_model_load_failures_total": .init(help: "Models that failed to load while others were served."),
        "apus_canary_state": .init(help: "1 for the state that the canary is in, 0 for the others."),
        "apus_canary_share": .init(help: "Share of the requests that name no model which the canary answers."),
        "apus_canary_rollbacks_total": .init(help: "Canaries that were rolled back, by reason."),
        "apus_shadow_texts_total": .init(help: "Texts that a shadow read as well, by both models' labels."),
        "apus_shadow_distance": .init(
            help: "Half the sum of the differences between a shadow's probabilities and the answer's.",
            buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]),
        "apus_shadow_seconds": .init(
            help: "Time for a text that a shadow read as well: the answer's pass, and the shadow's.",
            buckets: shortDurations),
        "apus_shadow_skipped_total": .init(help: "Texts that a shadow did not read, or had no answer to."),
        "apus_model_info": .init(help: "A model that is served; always 1."),
        "apus_gate_accuracy": .init(help: "Accuracy in the model's stored evaluation report."),
    ]
}
