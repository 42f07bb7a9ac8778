/// How well predicted labels match the true ones.
public struct ClassificationMetrics: Sendable, Equatable {
    public struct Class: Sendable, Equatable {
        public let precision: Double
        public let recall: Double
        public let f1: Double
        public let support: Int
    }

    /// [true label][predicted label]
    public let confusion: [[Int]]
    /// How many labels were predicted right.
    package let hits: Int
    public let accuracy: Double
    /// In the labels' order; a quotient without cases is 0, as in scikit-learn.
    public let classes: [Class]
    /// The labels that are true or predicted somewhere: macro averages are over these, as in scikit-learn.
    private let present: [Int]

    /// - Parameters: labels as indices below `labelCount`, as many predicted as true, at least one.
    public init(truth: [Int], predicted: [Int], labelCount: Int) {
        precondition(truth.count == predicted.count && !truth.isEmpty)
        var confusion = [[Int]](repeating: [Int](repeating: 0, count: labelCount), count: labelCount)
        for (truth, predicted) in zip(truth, predicted) { confusion[truth][predicted] += 1 }
        self.confusion = confusion
        present = (0..<labelCount).filter { label in
            confusion.contains { $0[label] > 0 } || confusion[label].contains { $0 > 0 }
        }
        hits = (0..<labelCount).reduce(0) { $0 + confusion[$1][$1] }
        accuracy = Double(hits) / Double(truth.count)
        classes = (0..<labelCount).map { label in
            let hits = Double(confusion[label][label])
            let support = confusion[label].reduce(0, +)
            let guesses = confusion.reduce(0) { $0 + $1[label] }
            let precision = guesses == 0 ? 0 : hits / Double(guesses)
            let recall = support == 0 ? 0 : hits / Double(support)
            let f1 = precision + recall == 0 ? 0 : 2 * precision * recall / (precision + recall)
            return Class(precision: precision, recall: recall, f1: f1, support: support)
        }
    }

    /// The mean recall: TweetEval's figure for sentiment.
    public var macroRecall: Double { mean(\.recall) }

    public var macroF1: Double { mean(\.f1) }

    private func mean(_ figure: (Class) -> Double) -> Double {
        present.map { figure(classes[$0]) }.reduce(0, +) / Double(present.count)
    }
}

/// Times in milliseconds, summed up.
public struct LatencySummary: Sendable {
    public let p50: Double
    public let p90: Double
    public let p99: Double
    public let mean: Double

    /// Percentiles by nearest rank.
    public init(milliseconds: [Double]) {
        precondition(!milliseconds.isEmpty)
        let sorted = milliseconds.sorted()
        func percentile(_ share: Double) -> Double { sorted[Int((Double(sorted.count) * share).rounded(.up)) - 1] }
        p50 = percentile(0.50)
        p90 = percentile(0.90)
        p99 = percentile(0.99)
        mean = sorted.reduce(0, +) / Double(sorted.count)
    }
}
