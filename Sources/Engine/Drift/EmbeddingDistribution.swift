import Foundation

/// Where a model's embeddings lay on the data it was measured on: mean and covariance of their sketches.
public struct EmbeddingDistribution: Sendable, Equatable {
    /// In so few texts a covariance would mostly be chance.
    static let leastTextsPerDimension = 10

    public let mean: [Double]
    /// Symmetric, positive definite.
    public let covariance: [[Double]]
    /// How many texts both are of.
    public let texts: Int
    /// The inverse of the covariance's Cholesky factor, by columns.
    private let whitening: [SIMD16<Double>]

    /// nil where the sketches do not fill their space, or are too few to tell.
    package init?(of sketches: [EmbeddingSketch.Vector], dimensions: Int) {
        guard sketches.count >= Self.leastTextsPerDimension * dimensions else { return nil }
        let count = Double(sketches.count)
        let mean = sketches.reduce(SIMD16<Double>.zero) { $0 + SIMD16<Double>($1) } / count
        var products = EmbeddingSums()
        for sketch in sketches { products.add(SIMD16<Double>(sketch) - mean) }
        let covariance = (0..<dimensions).map { i in (0..<dimensions).map { products.products[i][$0] / (count - 1) } }
        self.init(mean: (0..<dimensions).map { mean[$0] }, covariance: covariance, texts: sketches.count)
    }

    /// nil where the covariance is none: not symmetric, or not positive definite; or there is not an even number of 2 to 16
    /// dimensions.
    package init?(mean: [Double], covariance: [[Double]], texts: Int) {
        let dimensions = mean.count
        guard 2...16 ~= dimensions, dimensions.isMultiple(of: 2), covariance.count == dimensions,
            covariance.allSatisfy({ $0.count == dimensions }), texts > dimensions,
            (mean + covariance.joined()).allSatisfy(\.isFinite)
        else { return nil }
        let scale = (0..<dimensions).map { covariance[$0][$0] }.max() ?? 0
        // Cholesky's factor L, covariance = L · Lᵀ.
        var factor = Array(repeating: Array(repeating: 0.0, count: dimensions), count: dimensions)
        for i in 0..<dimensions {
            for j in 0...i {
                guard covariance[i][j] == covariance[j][i] else { return nil }
                let rest = covariance[i][j] - (0..<j).reduce(0) { $0 + factor[i][$1] * factor[j][$1] }
                if i == j {
                    guard rest > 1e-9 * scale else { return nil }
                    factor[i][i] = rest.squareRoot()
                } else {
                    factor[i][j] = rest / factor[j][j]
                }
            }
        }
        // L⁻¹, a column at a time, forwards.
        whitening = (0..<dimensions).map { column in
            var solved = SIMD16<Double>.zero
            for i in column..<dimensions {
                let sum = (column..<i).reduce(0) { $0 + factor[i][$1] * solved[$1] }
                solved[i] = ((i == column ? 1 : 0) - sum) / factor[i][i]
            }
            return solved
        }
        self.mean = mean
        self.covariance = covariance
        self.texts = texts
    }

    /// A sketch in this distribution's own measure: of its own sketches the mean is zero and the covariance the identity.
    package func whitened(_ sketch: EmbeddingSketch.Vector) -> EmbeddingSketch.Vector {
        var sum = SIMD16<Double>.zero
        for (index, column) in whitening.enumerated() { sum += column * (Double(sketch[index]) - mean[index]) }
        return EmbeddingSketch.Vector(sum)
    }

    /// How far others' sketches lie from these.
    public struct Shift: Sendable {
        /// Mahalanobis' distance of the means, in standard deviations, less what chance alone makes of it: the root of
        /// |z|² − d · (1/n + 1/m), or 0.
        public let mean: Double
        /// The probability that the same stream has means as far apart, by Hotelling's T², which is χ² for so many texts.
        public let meanPValue: Double
        /// Frobenius' distance of the whitened covariance to the identity, for a dimension, less what chance alone makes of it
        /// with normal vectors: the root of (‖C − I‖² − d · (d + 1) · (1/n + 1/m)) / d, or 0.
        public let covariance: Double
    }

    /// - Parameter live: of whitened sketches, at least two.
    package func shift(of live: EmbeddingSums) -> Shift {
        let (n, d) = (Double(live.count), Double(mean.count))
        let chance = 1 / n + 1 / Double(texts)
        let average = live.sum / n
        let squared = (average * average).sum()
        var difference = 0.0
        for i in mean.indices {
            for j in mean.indices {
                let covariance = (live.products[i][j] - n * average[i] * average[j]) / (n - 1)
                difference += (covariance - (i == j ? 1 : 0)) * (covariance - (i == j ? 1 : 0))
            }
        }
        return Shift(
            mean: max(0, squared - d * chance).squareRoot(),
            meanPValue: Self.upperTail(chiSquared: squared / chance, degrees: mean.count),
            covariance: max(0, (difference - d * (d + 1) * chance) / d).squareRoot())
    }

    /// Of an even number of degrees of freedom: e^(−x/2) · Σ (x/2)^k / k!, k < degrees / 2.
    package static func upperTail(chiSquared: Double, degrees: Int) -> Double {
        var (term, sum) = (exp(-chiSquared / 2), 0.0)
        for k in 0..<degrees / 2 {
            sum += term
            term *= chiSquared / 2 / Double(k + 1)
        }
        return min(1, sum)
    }
}

/// Sums over sketches, to which one may be added and from which it may be taken away.
package struct EmbeddingSums: Sendable {
    package private(set) var count = 0
    fileprivate var sum = SIMD16<Double>.zero
    /// Row i: each sketch times its number i.
    fileprivate var products = Array(repeating: SIMD16<Double>.zero, count: 16)

    package init() {}

    package mutating func add(_ sketch: EmbeddingSketch.Vector) { add(SIMD16<Double>(sketch)) }

    fileprivate mutating func add(_ sketch: SIMD16<Double>) {
        count += 1
        sum += sketch
        for i in 0..<16 { products[i] += sketch * sketch[i] }
    }

    package mutating func remove(_ sketch: EmbeddingSketch.Vector) {
        let sketch = SIMD16<Double>(sketch)
        count -= 1
        sum -= sketch
        for i in 0..<16 { products[i] -= sketch * sketch[i] }
    }
}
