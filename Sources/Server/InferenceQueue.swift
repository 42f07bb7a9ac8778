import Dispatch
import Engine

/// The one thread that runs the model, so that it never blocks the threads that serve connections.
final class InferenceQueue: Sendable {
    struct Timing: Sendable {
        /// Milliseconds.
        var tokenize = 0.0
        var queue = 0.0
        var infer = 0.0
    }

    private let classifier: Classifier
    private let queue = DispatchQueue(label: "apus.inference", qos: .userInitiated)

    init(_ classifier: Classifier) {
        self.classifier = classifier
    }

    /// A prediction a text, in order, and where the time went.
    func predict(_ encodings: [Encoding]) async throws -> (predictions: [Prediction], timing: Timing) {
        let enqueued = ContinuousClock.now
        let classifier = classifier
        return try await withCheckedThrowingContinuation { continuation in
            queue.async {
                let started = ContinuousClock.now
                let result = Result<(predictions: [Prediction], timing: Timing), any Error> {
                    let predictions = try classifier.predict(encodings)
                    let timing = Timing(
                        queue: (started - enqueued) / .milliseconds(1),
                        infer: (ContinuousClock.now - started) / .milliseconds(1))
                    return (predictions, timing)
                }
                continuation.resume(with: result)
            }
        }
    }
}
