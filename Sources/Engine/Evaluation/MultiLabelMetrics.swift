/// How well labels that are judged one by one match the true sets.
public struct MultiLabelMetrics: Sendable, Equatable {
    public struct Label: Sendable, Equatable {
        public let precision: Double
        public let recall: Double
        public let f1: Double
        public let support: Int
        /// The area under precision over recall, for every threshold; nil for a label that is never true.
        public let averagePrecision: Double?
    }

    /// In the labels' order; a quotient without cases is 0, as in scikit-learn.
    public let labels: [Label]
    /// Of all judgements together.
    public let microF1: Double
    /// The share of texts with exactly the true labels.
    public let exactMatch: Double

    /// - Parameters:
    ///   - truth: the true labels' indices of each text; at least one text.
    ///   - scores: [texts][labels]
    ///   - threshold: from which score on a label is taken for true.
    public init(truth: [[Int]], scores: [[Float]], threshold: Float) {
        precondition(truth.count == scores.count && !truth.isEmpty)
        let count = scores[0].count
        let isTrue = truth.map { set in
            var flags = [Bool](repeating: false, count: count)
            for label in set { flags[label] = true }
            return flags
        }
        var totals = (hits: 0, guesses: 0, support: 0)
        labels = (0..<count).map { label in
            let pairs = zip(isTrue, scores).map { (isTrue: $0[label], score: $1[label]) }
            let hits = pairs.count { $0.isTrue && $0.score >= threshold }
            let guesses = pairs.count { $0.score >= threshold }
            let support = pairs.count { $0.isTrue }
            totals = (totals.hits + hits, totals.guesses + guesses, totals.support + support)
            return Label(
                precision: guesses == 0 ? 0 : Double(hits) / Double(guesses),
                recall: support == 0 ? 0 : Double(hits) / Double(support), f1: Self.f1(hits, guesses, support),
                support: support, averagePrecision: support == 0 ? nil : Self.averagePrecision(pairs, support))
        }
        microF1 = Self.f1(totals.hits, totals.guesses, totals.support)
        let exact = zip(isTrue, scores).count { zip($0, $1).allSatisfy { $0 == ($1 >= threshold) } }
        exactMatch = Double(exact) / Double(truth.count)
    }

    public var macroF1: Double { labels.map(\.f1).reduce(0, +) / Double(labels.count) }

    /// The mean over the labels that are true somewhere; nil where none is.
    public var meanAveragePrecision: Double? {
        let precisions = labels.compactMap(\.averagePrecision)
        return precisions.isEmpty ? nil : precisions.reduce(0, +) / Double(precisions.count)
    }

    private static func f1(_ hits: Int, _ guesses: Int, _ support: Int) -> Double {
        guesses + support == 0 ? 0 : 2 * Double(hits) / Double(guesses + support)
    }

    /// Σ (recall − the recall before) · precision, from the highest score down; equal scores are one step.
    private static func averagePrecision(_ pairs: [(isTrue: Bool, score: Float)], _ support: Int) -> Double {
        let sorted = pairs.sorted { $0.score > $1.score }
        var (hits, sum, first) = (0, 0.0, 0)
        while first < sorted.count {
            var last = first
            var found = 0
            while last < sorted.count, sorted[last].score == sorted[first].score {
                if sorted[last].isTrue { found += 1 }
                last += 1
            }
            hits += found
            sum += Double(found) / Double(support) * Double(hits) / Double(last)
            first = last
        }
        return sum
    }
}
