import Dispatch
import Engine

/// Where the work is done, so that it never blocks the threads that serve connections: tokenizing on several threads at
/// once, the model on one.
final class InferenceQueue: Sendable {
    struct Timing: Sendable {
        /// Milliseconds.
        var tokenize = 0.0
        var queue = 0.0
        var infer = 0.0
    }

    private let classifier: Classifier
    private let tokenizing = DispatchQueue(label: "apus.tokenizing", qos: .userInitiated, attributes: .concurrent)
    private let inference = DispatchQueue(label: "apus.inference", qos: .userInitiated)

    init(_ classifier: Classifier) {
        self.classifier = classifier
    }

    /// A prediction for each of the encodings that `encode` makes, in order, and where the time went.
    func predict(
        _ encode: @escaping @Sendable () throws -> [Encoding]
    ) async throws -> (predictions: [Prediction], timing: Timing) {
        var clock = StopWatch()
        let encodings = try await tokenizing.run(encode)
        var timing = Timing(tokenize: clock.lap())
        let classifier = classifier
        let (predictions, queued, inferred) = try await inference.run { [clock] in
            var clock = clock
            let queued = clock.lap()
            return (try classifier.predict(encodings), queued, clock.lap())
        }
        (timing.queue, timing.infer) = (queued, inferred)
        return (predictions, timing)
    }
}

/// Milliseconds between laps.
private struct StopWatch {
    private var last = ContinuousClock.now

    mutating func lap() -> Double {
        let now = ContinuousClock.now
        defer { last = now }
        return (now - last) / .milliseconds(1)
    }
}

extension DispatchQueue {
    fileprivate func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            async { continuation.resume(with: Result(catching: work)) }
        }
    }
}
