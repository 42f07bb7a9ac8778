import DequeModule
import Engine
import Foundation

/// What one of two models that share the requests did with its part.
package struct CanaryFigures {
    /// What it is judged by.
    private static let window = 1000

    /// How many requests it got, all in all.
    package private(set) var requests = 0
    /// Of the last ones, the seconds from a request to its answer; nil where there was none.
    private var recent: Deque<Float?> = []
    private var failures = 0
    private var labels: [String: Int] = [:]

    package init() {}

    package mutating func answered(_ predictions: [String], in duration: Duration) {
        append(Float(duration / .seconds(1)))
        for label in predictions { labels[label, default: 0] += 1 }
    }

    package mutating func failed() { append(nil) }

    private mutating func append(_ seconds: Float?) {
        requests += 1
        recent.append(seconds)
        if seconds == nil { failures += 1 }
        if recent.count > Self.window, recent.removeFirst() == nil { failures -= 1 }
    }

    private var failedShare: Double { recent.isEmpty ? 0 : Double(failures) / Double(recent.count) }

    /// nil while there are too few answers to tell.
    package var slowest: Float? {
        let sorted = recent.compactMap(\.self).sorted()
        return sorted.count < CanaryLimits.timedAnswers ? nil : sorted[sorted.count * 99 / 100]
    }

    /// Why a canary of these figures must not go on; nil where it may.
    ///
    /// - Parameter accuracy: by feedback; nil where there was none.
    package func objection(
        against standard: CanaryFigures, accuracy: LiveAccuracy?, standardAccuracy: LiveAccuracy?
    ) -> CanaryObjection? {
        let failed = LiveAccuracy.interval(hits: failures, of: max(1, recent.count)).lowerBound
        if failed > CanaryLimits.failedShare + standard.failedShare {
            return CanaryObjection(
                reason: .errors,
                message: "\(failures) of its last \(recent.count) requests failed; the limit is "
                    + "\(CanaryLimits.failedShare.percent) above the default model's \(standard.failedShare.percent)")
        }
        if let slowest = standard.slowest, let own = self.slowest {
            let limit = slowest * CanaryLimits.slowdown
            let answers = recent.compactMap(\.self)
            let beyond = answers.count { $0 > limit }
            if LiveAccuracy.interval(hits: beyond, of: answers.count).lowerBound > 0.01 {
                return CanaryObjection(
                    reason: .latency,
                    message: "its 99th percentile is \(own.milliseconds); the limit is \(limit.milliseconds), "
                        + "\(Int(CanaryLimits.slowdown)) times the default model's")
            }
        }
        if let index = stabilityIndex(against: standard), index > CanaryLimits.stabilityIndex {
            return CanaryObjection(
                reason: .labels,
                message: "its labels' stability index against the default model's of the same time is \(index.short); the "
                    + "limit is \(CanaryLimits.stabilityIndex)")
        }
        if let accuracy, let standardAccuracy,
            min(accuracy.count, standardAccuracy.count) >= CanaryLimits.judgedAnswers,
            accuracy.interval.upperBound < standardAccuracy.interval.lowerBound
        {
            return CanaryObjection(
                reason: .accuracy,
                message: "its live accuracy is \(accuracy.interval.upperBound.short) at most; the default model's is "
                    + "\(standardAccuracy.interval.lowerBound.short) at least")
        }
        return nil
    }

    private func stabilityIndex(against standard: CanaryFigures) -> Double? {
        let counts = [labels, standard.labels].map { labels in labels.values.reduce(0, +) }
        guard counts.min() ?? 0 >= CanaryLimits.labelledAnswers else { return nil }
        let names = Set(labels.keys).union(standard.labels.keys).sorted()
        func distribution(_ labels: [String: Int]) -> Distribution { Distribution(counts: names.map { labels[$0] ?? 0 }) }
        return distribution(labels).stabilityIndex(against: distribution(standard.labels))
    }

    var json: JSONValue {
        [
            "requests": .integer(requests), "failed_share": .number(failedShare),
            "p99_seconds": slowest.map { .number(Double($0)) } ?? nil,
        ]
    }
}

/// Why a canary was taken back.
package struct CanaryObjection: Equatable {
    package enum Reason: String, CaseIterable { case errors, latency, labels, accuracy }

    package let reason: Reason
    package let message: String
}

/// Beyond which a canary is taken back. Shares are judged by the lower bound of their 95 % interval, so that a few unlucky
/// requests are not taken for a fault.
enum CanaryLimits {
    /// Of requests, above the default model's own.
    static let failedShare = 0.01
    /// Of the 99th percentile of answers' times, and how many answers it takes to have one.
    static let slowdown: Float = 2
    static let timedAnswers = 200
    /// Of labels, and how many answers of each model it takes.
    static let stabilityIndex = 0.25
    static let labelledAnswers = 500
    /// How many answers of each model must have been judged before their accuracies are compared.
    static let judgedAnswers = 30
}

extension Double {
    fileprivate var short: String { String(format: "%.3f", self) }
    fileprivate var percent: String { String(format: "%.1f %%", 100 * self) }
}

extension Float {
    fileprivate var milliseconds: String { String(format: "%.1f ms", 1000 * self) }
}
