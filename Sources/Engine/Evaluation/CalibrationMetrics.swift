/// How far a model's probabilities may be believed, each figure with its 95 % bootstrap interval over the texts.
public struct CalibrationMetrics: Sendable, Equatable {
    /// The field's usual number of bins, of equal width (Guo et al. 2017).
    public static let binCount = 15

    /// Judgements of like confidence: above `index` / 15, up to (`index` + 1) / 15.
    public struct Bin: Sendable, Equatable {
        public let count: Int
        /// The mean; nil for none.
        public let confidence: Double?
        /// The share that was right; nil for none.
        public let accuracy: Double?
    }

    /// Σ over bins of their share of the judgements · |mean confidence − share that was right|, from 0 to 1. A judgement is a
    /// text's best label with its probability; of a model with several labels a text, each label of each text with its
    /// probability, and right is what is true. Resamples are less even than the data, so the interval of a model that is
    /// calibrated well lies somewhat above its figure.
    public let expectedCalibrationError: Double
    public let expectedCalibrationErrorInterval: ClosedRange<Double>
    /// The squared differences of probabilities and truth (0, 1), summed over the labels, averaged over the texts.
    public let brierScore: Double
    public let brierScoreInterval: ClosedRange<Double>
    /// −ln of the true label's probability, averaged over the texts; where each label is judged by itself, the sum of all
    /// labels' log losses. Probabilities are taken within 2.2e-16 of 0 and 1 at most, as in scikit-learn.
    public let logLoss: Double
    public let logLossInterval: ClosedRange<Double>
    public let bins: [Bin]

    /// A label each, true and predicted, as indices into the scores; at least one text.
    public init(truth: [Int], predicted: [Int], scores: [[Float]]) {
        precondition(truth.count == scores.count && predicted.count == scores.count && !truth.isEmpty)
        let texts = zip(zip(truth, predicted), scores).map { labels, scores in
            let (truth, predicted) = labels
            var text = Text()
            text.add(Double(scores[predicted]), isRight: predicted == truth)
            for (label, score) in scores.enumerated() { text.addSquare(Double(score), isTrue: label == truth) }
            text.logLoss = Self.logLoss(Double(scores[truth]))
            return text
        }
        self.init(texts)
    }

    /// Any number of labels each; at least one text.
    public init(truth: [[Int]], scores: [[Float]]) {
        precondition(truth.count == scores.count && !truth.isEmpty)
        let texts = zip(truth, scores).map { truth, scores in
            var text = Text()
            let truth = Set(truth)
            for (label, score) in scores.enumerated() {
                let (score, isTrue) = (Double(score), truth.contains(label))
                text.add(score, isRight: isTrue)
                text.addSquare(score, isTrue: isTrue)
                text.logLoss += Self.logLoss(isTrue ? score : 1 - score)
            }
            return text
        }
        self.init(texts)
    }

    private static func logLoss(_ probability: Double) -> Double {
        -ReproducibleMath.log(min(max(probability, Double.ulpOfOne), 1))
    }

    /// What one text adds to the figures.
    private struct Text {
        /// Of each bin it is in: Σ confidence − right.
        var gaps: [(bin: Int, gap: Double)] = []
        var judgements: [(bin: Int, confidence: Double, isRight: Bool)] = []
        var brierScore = 0.0
        var logLoss = 0.0

        mutating func add(_ confidence: Double, isRight: Bool) {
            let bin = min(max(Int((confidence * Double(binCount)).rounded(.up)) - 1, 0), binCount - 1)
            judgements.append((bin, confidence, isRight))
            let gap = confidence - (isRight ? 1 : 0)
            if let place = gaps.firstIndex(where: { $0.bin == bin }) {
                gaps[place].gap += gap
            } else {
                gaps.append((bin, gap))
            }
        }

        mutating func addSquare(_ score: Double, isTrue: Bool) {
            let difference = score - (isTrue ? 1 : 0)
            brierScore += difference * difference
        }
    }

    private init(_ texts: [Text]) {
        var counts = [Int](repeating: 0, count: Self.binCount)
        var right = counts
        var confidences = [Double](repeating: 0, count: Self.binCount)
        for text in texts {
            for judgement in text.judgements {
                counts[judgement.bin] += 1
                if judgement.isRight { right[judgement.bin] += 1 }
                confidences[judgement.bin] += judgement.confidence
            }
        }
        bins = counts.indices.map { bin in
            let count = Double(counts[bin])
            return Bin(
                count: counts[bin], confidence: count == 0 ? nil : confidences[bin] / count,
                accuracy: count == 0 ? nil : Double(right[bin]) / count)
        }
        let judgements = Double(counts.reduce(0, +))
        expectedCalibrationError =
            counts.indices.reduce(0) { $0 + abs(confidences[$1] - Double(right[$1])) } / judgements
        brierScore = texts.reduce(0) { $0 + $1.brierScore } / Double(texts.count)
        logLoss = texts.reduce(0) { $0 + $1.logLoss } / Double(texts.count)

        // Flat, for two thousand times as many steps as there are texts.
        let gaps = texts.flatMap(\.gaps)
        var ends: [Int] = []
        for text in texts { ends.append((ends.last ?? 0) + text.gaps.count) }
        let (briers, losses) = (texts.map(\.brierScore), texts.map(\.logLoss))
        var figures: [[Double]] = [[], [], []]
        var random = SplitMix64(state: Bootstrap.seed)
        for _ in 0..<Bootstrap.resamples {
            var sums = [Double](repeating: 0, count: Self.binCount)
            var (brier, loss) = (0.0, 0.0)
            for _ in texts.indices {
                let text = Int(random.next().multipliedFullWidth(by: UInt64(briers.count)).high)
                brier += briers[text]
                loss += losses[text]
                for place in (text == 0 ? 0 : ends[text - 1])..<ends[text] { sums[gaps[place].bin] += gaps[place].gap }
            }
            figures[0].append(sums.reduce(0) { $0 + abs($1) } / judgements)
            figures[1].append(brier / Double(texts.count))
            figures[2].append(loss / Double(texts.count))
        }
        expectedCalibrationErrorInterval = Bootstrap.interval(figures[0])
        brierScoreInterval = Bootstrap.interval(figures[1])
        logLossInterval = Bootstrap.interval(figures[2])
    }

    /// As it stands in the report of `apus evaluate`.
    var json: JSONValue {
        func interval(_ range: ClosedRange<Double>) -> JSONValue { [.number(range.lowerBound), .number(range.upperBound)] }
        func number(_ value: Double?) -> JSONValue { value.map(JSONValue.number) ?? .null }
        return [
            "expected_calibration_error": .number(expectedCalibrationError),
            "expected_calibration_error_interval": interval(expectedCalibrationErrorInterval),
            "brier_score": .number(brierScore), "brier_score_interval": interval(brierScoreInterval),
            "log_loss": .number(logLoss), "log_loss_interval": interval(logLossInterval),
            "bins": .array(
                bins.map {
                    [
                        "count": .integer($0.count), "confidence": number($0.confidence), "accuracy": number($0.accuracy),
                    ]
                }),
        ]
    }

    /// The figures for a person: names, values and intervals.
    package var rows: [(name: String, value: Double, interval: ClosedRange<Double>)] {
        [
            ("calib. error", expectedCalibrationError, expectedCalibrationErrorInterval),
            ("Brier score", brierScore, brierScoreInterval), ("log loss", logLoss, logLossInterval),
        ]
    }
}
