/// How far figures of a data set may be off by the chance of which texts are in it: 95 % intervals by the percentile
/// bootstrap (Efron 1979).
public struct Bootstrap: Sendable {
    public let accuracy: ClosedRange<Double>
    public let macroRecall: ClosedRange<Double>
    /// How much less accurate the model is than its reference on the same texts: drawn in pairs, so that what both get
    /// wrong does not blur it. nil without a reference.
    public let accuracyDrop: ClosedRange<Double>?

    static let resamples = 2000
    /// Fixed, so that a report can be made again.
    static let seed: UInt64 = 1

    /// - Parameters: labels as indices below `labelCount`; as many predicted, and by the reference, as true; at least one.
    package init(truth: [Int], predicted: [Int], reference: [Int]?, labelCount: Int) {
        precondition(!truth.isEmpty && predicted.count == truth.count && reference?.count ?? truth.count == truth.count)
        let count = truth.count
        // Texts that count alike are one cell: a resample is a draw of cells.
        var numbers: [Cell: Int32] = [:]
        let cells = truth.indices.map { index in
            let cell = Cell(
                truth: truth[index], predicted: predicted[index],
                referenceIsRight: reference.map { $0[index] == truth[index] } ?? false)
            return numbers[cell]
                ?? {
                    let number = Int32(numbers.count)
                    numbers[cell] = number
                    return number
                }()
        }
        let kinds = numbers.sorted { $0.value < $1.value }.map(\.key)
        var random = SplitMix64(state: Self.seed)
        var accuracies: [Double] = []
        var recalls: [Double] = []
        var drops: [Double] = []
        var drawn = [Int](repeating: 0, count: kinds.count)
        for _ in 0..<Self.resamples {
            for index in drawn.indices { drawn[index] = 0 }
            for _ in 0..<count {
                let text = Int(random.next().multipliedFullWidth(by: UInt64(count)).high)
                drawn[Int(cells[text])] += 1
            }
            var hits = [Int](repeating: 0, count: labelCount)
            var support = hits
            var isPresent = [Bool](repeating: false, count: labelCount)
            var referenceHits = 0
            for (cell, times) in zip(kinds, drawn) where times > 0 {
                support[cell.truth] += times
                isPresent[cell.truth] = true
                isPresent[cell.predicted] = true
                if cell.predicted == cell.truth { hits[cell.truth] += times }
                if cell.referenceIsRight { referenceHits += times }
            }
            let right = hits.reduce(0, +)
            accuracies.append(Double(right) / Double(count))
            drops.append(Double(referenceHits - right) / Double(count))
            // As `ClassificationMetrics` has it: a label that is only guessed counts with a recall of 0.
            let present = (0..<labelCount).filter { isPresent[$0] }
            let sum = present.reduce(0) { $0 + Double(hits[$1]) / Double(max(1, support[$1])) }
            recalls.append(sum / Double(present.count))
        }
        accuracy = Self.interval(accuracies)
        macroRecall = Self.interval(recalls)
        accuracyDrop = reference == nil ? nil : Self.interval(drops)
    }

    private struct Cell: Hashable {
        let truth: Int
        let predicted: Int
        let referenceIsRight: Bool
    }

    static func interval(_ values: [Double]) -> ClosedRange<Double> {
        let sorted = values.sorted()
        let tail = sorted.count / 40
        return sorted[tail]...sorted[sorted.count - 1 - tail]
    }
}
