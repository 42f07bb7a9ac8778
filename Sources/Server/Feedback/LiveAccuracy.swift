import Engine

/// How often a model was right, by the feedback of a window of time.
package struct LiveAccuracy {
    let metrics: ClassificationMetrics
    /// How many answers were judged.
    let count: Int
    /// What the model thought of itself: the mean probability of the labels that it gave.
    let meanConfidence: Double

    /// nil where nothing was judged.
    package init?(_ judged: [(actual: Int, predicted: Int, confidence: Float)], labels: [String]) {
        guard !judged.isEmpty else { return nil }
        metrics = ClassificationMetrics(
            truth: judged.map(\.actual), predicted: judged.map(\.predicted), labelCount: labels.count)
        count = judged.count
        meanConfidence = judged.reduce(0) { $0 + Double($1.confidence) } / Double(judged.count)
    }

    /// Where the accuracy lies with 95 % confidence: Wilson's score interval (1927), which holds for few cases as well.
    var interval: ClosedRange<Double> { Self.interval(hits: metrics.hits, of: count) }

    package static func interval(hits: Int, of count: Int) -> ClosedRange<Double> {
        let z = 1.959963984540054  // of the normal distribution, 97.5 %
        let (n, share) = (Double(count), Double(hits) / Double(count))
        let scale = 1 + z * z / n
        let middle = (share + z * z / (2 * n)) / scale
        let half = z / scale * (share * (1 - share) / n + z * z / (4 * n * n)).squareRoot()
        return max(0, middle - half)...min(1, middle + half)
    }

    var json: JSONValue {
        [
            "labelled": .integer(count), "accuracy": .number(metrics.accuracy),
            "accuracy_interval": [.number(interval.lowerBound), .number(interval.upperBound)],
            "macro_recall": .number(metrics.macroRecall), "mean_confidence": .number(meanConfidence),
        ]
    }
}
