import DequeModule
import Engine
import Synchronization

/// Compares what is predicted now with the model's reference profile, in a sliding window bounded by count and by age. Of a
/// prediction its bins are kept, and of the latest ones the text's tokens and a sketch of its embedding; never the text.
package final class DriftMonitor: Sendable {
    package struct Figures: Sendable {
        package let stabilityIndex: Double
        package let jensenShannonDistance: Double
    }

    package struct Report: Sendable {
        package let samples: Int
        /// Empty while there are fewer samples than the window's minimum.
        package let figures: [ReferenceProfile.Feature: Figures]
        /// nil then, too, and where the profile has no embeddings.
        package let embedding: EmbeddingDistribution.Shift?
    }

    let reference: ReferenceProfile
    let window: DriftWindow
    private let state: Mutex<State>

    private struct State {
        var samples: Deque<Sample> = []
        /// Of each feature, in the order of `Feature.allCases`.
        var live: [Distribution]
        /// Of the latest samples.
        var latest = LatestTexts()

        mutating func count(_ sample: Sample, _ change: Int) {
            live[0].counts[Int(sample.label)] += change
            for feature in 1..<live.count { live[feature].counts[Int(sample.bins[feature])] += change }
        }
    }

    /// 16 bytes a prediction; all features but the label have few bins.
    private struct Sample {
        let second: UInt32
        let label: UInt16
        /// Of each feature, the label's left empty.
        let bins: SIMD8<UInt8>
    }

    private let start = ContinuousClock.now

    package init(_ reference: ReferenceProfile, window: DriftWindow = DriftWindow()) {
        self.reference = reference
        self.window = window
        state = Mutex(State(live: reference.binCounts.map(Distribution.init(bins:))))
    }

    /// The predictions of a request, each with its text's traits.
    ///
    /// - Parameter now: of the clock that the monitor was made on; later than of earlier calls.
    package func record(_ predictions: [Prediction], _ traits: [TextTraits], at now: ContinuousClock.Instant = .now) {
        let second = UInt32(clamping: (now - start).components.seconds)
        let samples = zip(predictions, traits).map { prediction, traits in
            let places = reference.bins(of: prediction, traits)
            var bins = SIMD8<UInt8>.zero
            for feature in 1..<places.count { bins[feature] = UInt8(places[feature]) }
            return Sample(second: second, label: UInt16(places[0]), bins: bins)
        }
        let texts = LatestTexts.texts(predictions, traits, reference.embedding)
        state.withLock { state in
            for (sample, text) in zip(samples, texts) {
                state.samples.append(sample)
                state.count(sample, 1)
                state.latest.append(text)
            }
            expire(&state, second)
        }
    }

    var current: Report { report(at: .now) }

    package func report(at now: ContinuousClock.Instant) -> Report {
        let (samples, live, sums) = state.withLock { state in
            expire(&state, UInt32(clamping: (now - start).components.seconds))
            return (state.samples.count, state.live, state.latest.sums)
        }
        guard samples >= window.minimumSamples else { return Report(samples: samples, figures: [:], embedding: nil) }
        var figures: [ReferenceProfile.Feature: Figures] = [:]
        for (feature, live) in zip(ReferenceProfile.Feature.allCases, live) {
            guard let reference = reference.distributions[feature] else { continue }
            figures[feature] = Figures(
                stabilityIndex: live.stabilityIndex(against: reference),
                jensenShannonDistance: live.jensenShannonDistance(to: reference))
        }
        return Report(
            samples: samples, figures: figures,
            embedding: sums.count > 1 ? reference.embedding.map { $0.shift(of: sums) } : nil)
    }

    /// The tokens whose share of the texts rose most; nil where the profile has no tokens, or there are fewer samples than the
    /// window's minimum.
    package func risenTokens(at now: ContinuousClock.Instant = .now) -> [RisenToken]? {
        guard let reference = reference.tokenCounts else { return nil }
        let (samples, latest) = state.withLock { state in
            expire(&state, UInt32(clamping: (now - start).components.seconds))
            return (state.samples.count, state.latest)
        }
        return samples >= window.minimumSamples ? latest.risenTokens(against: reference) : nil
    }

    private func expire(_ state: inout State, _ second: UInt32) {
        let age = window.age.components.seconds
        while let oldest = state.samples.first,
            state.samples.count > window.samples || Int64(second) - Int64(oldest.second) > age
        {
            state.samples.removeFirst()
            state.count(oldest, -1)
        }
        state.latest.keep(state.samples.count)
    }
}
