import DequeModule
import Engine
import Synchronization

/// Compares what is predicted now with the model's reference profile, in a sliding window bounded by count and by age. Of a
/// prediction only its bins are kept, never the text.
package final class DriftMonitor: Sendable {
    package struct Figures: Sendable {
        package let stabilityIndex: Double
        package let jensenShannonDistance: Double
    }

    package struct Report: Sendable {
        package let samples: Int
        /// Empty while there are fewer samples than the window's minimum.
        package let figures: [ReferenceProfile.Feature: Figures]
    }

    let reference: ReferenceProfile
    let window: DriftWindow
    private let state: Mutex<State>

    private struct State {
        var samples: Deque<Sample> = []
        /// Of each feature, in the order of `Feature.allCases`.
        var live: [Distribution]
    }

    /// 8 bytes a prediction; there are three features, each with few bins.
    private struct Sample {
        let second: UInt32
        let label: UInt16
        let confidence: UInt8
        let tokens: UInt8
    }

    private let start = ContinuousClock.now

    package init(_ reference: ReferenceProfile, window: DriftWindow = DriftWindow()) {
        self.reference = reference
        self.window = window
        state = Mutex(State(live: reference.binCounts.map(Distribution.init(bins:))))
    }

    /// - Parameter now: of the clock that the monitor was made on; later than of earlier calls.
    package func record(_ predictions: [Prediction], at now: ContinuousClock.Instant = .now) {
        let second = UInt32(clamping: (now - start).components.seconds)
        state.withLock { state in
            for prediction in predictions {
                let bins = reference.bins(of: prediction)
                state.samples.append(
                    Sample(second: second, label: UInt16(bins[0]), confidence: UInt8(bins[1]), tokens: UInt8(bins[2])))
                for (feature, bin) in bins.enumerated() { state.live[feature].counts[bin] += 1 }
            }
            expire(&state, second)
        }
    }

    var current: Report { report(at: .now) }

    package func report(at now: ContinuousClock.Instant) -> Report {
        let (samples, live) = state.withLock { state in
            expire(&state, UInt32(clamping: (now - start).components.seconds))
            return (state.samples.count, state.live)
        }
        guard samples >= window.minimumSamples else { return Report(samples: samples, figures: [:]) }
        var figures: [ReferenceProfile.Feature: Figures] = [:]
        for (feature, live) in zip(ReferenceProfile.Feature.allCases, live) {
            guard let reference = reference.distributions[feature] else { continue }
            figures[feature] = Figures(
                stabilityIndex: live.stabilityIndex(against: reference),
                jensenShannonDistance: live.jensenShannonDistance(to: reference))
        }
        return Report(samples: samples, figures: figures)
    }

    private func expire(_ state: inout State, _ second: UInt32) {
        let age = window.age.components.seconds
        while let oldest = state.samples.first,
            state.samples.count > window.samples || Int64(second) - Int64(oldest.second) > age
        {
            state.samples.removeFirst()
            state.live[0].counts[Int(oldest.label)] -= 1
            state.live[1].counts[Int(oldest.confidence)] -= 1
            state.live[2].counts[Int(oldest.tokens)] -= 1
        }
    }
}
