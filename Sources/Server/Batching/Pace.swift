/// How fast a queue's texts go through the model while more wait than a batch takes. A value without a clock.
///
/// It would rather be too fast than too slow, so that no text is refused that could be answered: what is faster counts at once
/// and by half, what is slower by an eighth and as twice as slow at most, so that a stall of the machine changes little.
package struct Pace: Sendable {
    /// nil before the first such batch.
    private var secondsPerToken: Double?
    private var samples = 0
    /// With fewer nothing is known: a first batch also takes memory and wakes threads.
    private static let leastSamples = 4

    package init() {}

    /// - Parameters:
    ///   - duration: from a batch's place in line to its end, other models' turns included.
    ///   - leavesMore: whether texts waited that the batch had no room for. One that has room has another pace, which counts
    ///     only where it is the faster one.
    package mutating func record(tokens: Int, took duration: Duration, leavesMore: Bool) {
        samples += leavesMore ? 1 : 0
        let sample = duration / .seconds(1) / Double(max(1, tokens))
        guard let known = secondsPerToken else {
            if leavesMore { secondsPerToken = sample }
            return
        }
        if sample < known {
            secondsPerToken = (known + sample) / 2
        } else if leavesMore {
            secondsPerToken = known + (min(sample, 2 * known) - known) / 8
        }
    }

    package var isKnown: Bool { samples >= Self.leastSamples }

    /// How long so many tokens take; zero while nothing is known.
    package func time(for tokens: Int) -> Duration {
        isKnown ? .seconds((secondsPerToken ?? 0) * Double(tokens)) : .zero
    }
}
