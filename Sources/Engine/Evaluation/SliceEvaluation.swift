/// The figures of the texts that have the same value in one field: a language, a source.
public struct SliceEvaluation: Sendable {
    /// As `lang=en`.
    public let name: String
    public let value: String
    public let examples: Int
    public let metrics: ClassificationMetrics
    public let intervals: Bootstrap
    public let calibration: CalibrationMetrics

    /// By the values, in their order as bytes; empty where the data set has no slices.
    static func all(of dataset: Dataset, predicted: [Int], scores: [[Float]], labelCount: Int) -> [SliceEvaluation] {
        guard let slices = dataset.slices else { return [] }
        let places = Dictionary(grouping: slices.values.indices) { slices.values[$0] }
        return places.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.map { value in
            let texts = places[value] ?? []
            let (truth, labels) = (texts.map { dataset.labels[$0] }, texts.map { predicted[$0] })
            return SliceEvaluation(
                name: "\(slices.field)=\(value.shortened(to: 80))", value: value, examples: texts.count,
                metrics: ClassificationMetrics(truth: truth, predicted: labels, labelCount: labelCount),
                intervals: Bootstrap(truth: truth, predicted: labels, reference: nil, labelCount: labelCount),
                calibration: CalibrationMetrics(truth: truth, predicted: labels, scores: texts.map { scores[$0] }))
        }
    }
}
