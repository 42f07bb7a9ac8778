import CoreMetrics
import DequeModule
import Engine
import Foundation
import Synchronization

/// A model that reads texts which the default model has answered, when nobody else wants the processor, and is compared with
/// it. Nobody waits for it; what it cannot keep up with it leaves out.
final class Shadow: Sendable {
    /// A text that was answered.
    struct Sample: Sendable {
        let text: String
        let pair: String?
        let longTexts: LongTexts?
        let truncationSide: TruncationSide?
        let prediction: Prediction
        /// How long the model that answered took for it.
        let duration: Duration
        let identifier: String
        let answeredBy: ServedModel
    }

    /// How much may wait for it.
    private static let samples = 256
    private static let bytes = 1 << 20

    let model: ServedModel
    let share: Double
    private let log: ShadowLog?
    private let metrics: ShadowMetrics
    private let state = Mutex(State())

    private struct State {
        var waiting: Deque<Sample> = []
        var bytes = 0
        var isRunning = false
        var agreed = 0
        var compared = 0
    }

    /// - Parameter model: one that was loaded to run in the background.
    init(_ model: ServedModel, share: Double, metrics: ServerMetrics, log: ShadowLog?) {
        self.model = model
        self.share = share
        self.log = log
        self.metrics = ShadowMetrics(model.names.name, in: metrics.registry)
    }

    /// Takes note of a request's answers.
    func offer(_ samples: [Sample]) {
        guard let first = samples.first, RequestShare.takes(first.identifier, share, for: "shadow") else { return }
        let (left, wakes) = state.withLock { state in
            var left = 0
            for sample in samples {
                let bytes = sample.text.utf8.count + (sample.pair?.utf8.count ?? 0)
                guard state.waiting.count < Self.samples, state.bytes + bytes <= Self.bytes else {
                    left += 1
                    continue
                }
                state.waiting.append(sample)
                state.bytes += bytes
            }
            defer { state.isRunning = state.isRunning || !state.waiting.isEmpty }
            return (left, !state.isRunning && !state.waiting.isEmpty)
        }
        if left > 0 { metrics.skip(left, because: .behind) }
        if wakes { model.classifier.enqueue { self.next() } }
    }

    /// On the shadow's thread: one text, then back in line behind others who ask this model.
    private func next() {
        let sample = state.withLock { state -> Sample? in
            guard let sample = state.waiting.popFirst() else {
                state.isRunning = false
                return nil
            }
            state.bytes -= sample.text.utf8.count + (sample.pair?.utf8.count ?? 0)
            return sample
        }
        guard let sample else { return }
        // The scheduler sees to it that running passes come first, but where a quota of time is shared, waiting work has to.
        while sample.answeredBy.queue.depth > 0 { usleep(1000) }
        compare(sample)
        model.classifier.enqueue { self.next() }
    }

    private func compare(_ sample: Sample) {
        let classifier = model.classifier
        let start = ContinuousClock.now
        guard
            let input = try? classifier.input(
                sample.text, pair: sample.pair, longTexts: sample.longTexts, cutting: sample.truncationSide),
            let found = try? classifier.predict([input])[0]
        else { return metrics.skip(1, because: .failed) }
        let agrees = found.best.label == sample.prediction.best.label
        metrics.record(sample.prediction, sample.duration, found, ContinuousClock.now - start)
        state.withLock { state in
            state.compared += 1
            if agrees { state.agreed += 1 }
        }
        if !agrees { log?.write(sample, found, by: model) }
    }

    var json: JSONValue {
        let (agreed, compared) = state.withLock { ($0.agreed, $0.compared) }
        return [
            "name": .string(model.names.name), "share": .number(share), "texts": .integer(compared),
            "agreement": compared > 0 ? .number(Double(agreed) / Double(compared)) : nil,
        ]
    }
}

/// How far a shadow is from the model that answers.
private struct ShadowMetrics: Sendable {
    enum Skipped: String, CaseIterable {
        /// More texts waited than it keeps.
        case behind
        /// It had no answer.
        case failed
    }

    private let registry: PrometheusRegistry
    private let name: String
    private let distance: Recorder
    private let times: (answered: CoreMetrics.Timer, shadow: CoreMetrics.Timer)

    init(_ name: String, in registry: PrometheusRegistry) {
        self.name = name
        self.registry = registry
        func timer(_ of: String) -> CoreMetrics.Timer {
            Timer(label: "apus_shadow_seconds", dimensions: [("model", name), ("of", of)], factory: registry)
        }
        distance = Recorder(
            label: "apus_shadow_distance", dimensions: [("model", name)], aggregate: true, factory: registry)
        times = (timer("answer"), timer("shadow"))
        for reason in Skipped.allCases { skip(0, because: reason) }
    }

    func skip(_ count: Int, because reason: Skipped) {
        Counter(
            label: "apus_shadow_skipped_total", dimensions: [("model", name), ("reason", reason.rawValue)],
            factory: registry
        ).increment(by: count)
    }

    func record(_ answer: Prediction, _ answerTime: Duration, _ shadow: Prediction, _ shadowTime: Duration) {
        let (answered, found) = (answer.best.label, shadow.best.label)
        Counter(
            label: "apus_shadow_texts_total",
            dimensions: [("model", name), ("agrees", "\(answered == found)"), ("answer", answered), ("shadow", found)],
            factory: registry
        ).increment()
        distance.record(Self.distance(answer, shadow))
        times.answered.record(duration: answerTime)
        times.shadow.record(duration: shadowTime)
    }

    /// Half the sum of the probabilities' differences, 0 to 1: the largest difference in the probability of anything.
    private static func distance(_ answer: Prediction, _ shadow: Prediction) -> Double {
        let other = Dictionary(shadow.scores.map { ($0.label, Double($0.value)) }) { first, _ in first }
        return answer.scores.reduce(0) { $0 + abs(Double($1.value) - (other[$1.label] ?? 0)) } / 2
    }
}
