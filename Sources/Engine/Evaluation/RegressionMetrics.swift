/// How well predicted numbers match the true ones.
public struct RegressionMetrics: Sendable, Equatable {
    public let meanSquaredError: Double
    /// The correlation of the numbers; nil where one side is always the same.
    public let pearson: Double?
    /// That of their ranks, equal numbers having the mean of theirs.
    public let spearman: Double?

    /// - Parameters: as many predicted as true, at least one.
    public init(truth: [Double], predicted: [Double]) {
        precondition(truth.count == predicted.count && !truth.isEmpty)
        meanSquaredError = zip(truth, predicted).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / Double(truth.count)
        pearson = Self.correlation(truth, predicted)
        spearman = Self.correlation(Self.ranks(truth), Self.ranks(predicted))
    }

    private static func correlation(_ x: [Double], _ y: [Double]) -> Double? {
        let count = Double(x.count)
        let (xMean, yMean) = (x.reduce(0, +) / count, y.reduce(0, +) / count)
        var (product, xSquare, ySquare) = (0.0, 0.0, 0.0)
        for (x, y) in zip(x, y) {
            product += (x - xMean) * (y - yMean)
            xSquare += (x - xMean) * (x - xMean)
            ySquare += (y - yMean) * (y - yMean)
        }
        return xSquare > 0 && ySquare > 0 ? product / (xSquare * ySquare).squareRoot() : nil
    }

    private static func ranks(_ values: [Double]) -> [Double] {
        let order = values.indices.sorted { values[$0] < values[$1] }
        var ranks = [Double](repeating: 0, count: values.count)
        var first = 0
        while first < order.count {
            var last = first
            while last < order.count, values[order[last]] == values[order[first]] { last += 1 }
            for place in first..<last { ranks[order[place]] = Double(first + last - 1) / 2 }
            first = last
        }
        return ranks
    }
}
