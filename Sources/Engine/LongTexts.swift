/// What becomes of a text that has more tokens than a model reads.
public enum LongTexts: String, Sendable, CaseIterable {
    /// What does not fit is cut off, at the end or where the tokenizer's `truncation_side` says.
    case truncate
    /// It is an error.
    case refuse
    /// It is read in overlapping windows of the model's length, and the scores are their average, each window's as much as it
    /// has tokens of the text.
    case windows
}

/// Where a text that is too long is cut.
public enum TruncationSide: String, Sendable, CaseIterable {
    /// Its end is kept.
    case left
    /// Its beginning is kept.
    case right
}

extension Prediction {
    /// The windows' of one text as one.
    init(windows: [(prediction: Prediction, tokens: Int)], prefersLast: Bool, threshold: Float) {
        let total = Float(windows.reduce(0) { $0 + $1.tokens })
        func average(_ values: (Prediction) -> [Float]) -> [Float] {
            var sums = values(windows[0].prediction).map { _ in Float(0) }
            for (prediction, tokens) in windows {
                for (index, value) in values(prediction).enumerated() { sums[index] += value * (Float(tokens) / total) }
            }
            return sums
        }
        let first = windows[0].prediction
        var sketch = EmbeddingSketch.Vector.zero
        for (prediction, tokens) in windows { sketch += prediction.sketch * (Float(tokens) / total) }
        let scores = average { $0.scores.map(\.value) }
        self.init(
            scores: zip(first.scores, scores).map { Score(label: $0.label, value: $1) }, logits: average(\.logits),
            tokens: windows.reduce(0) { $0 + $1.prediction.tokens }, isTruncated: false, prefersLast: prefersLast,
            kind: first.kind, threshold: threshold, windows: windows.count, sketch: sketch)
    }
}
