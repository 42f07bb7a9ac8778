/// A vector in 16 numbers: sums of its own with signs that are drawn once and for all (Achlioptas 2003, "Database-friendly
/// random projections"), divided by the root of its width. What moves a vector moves them; the vector cannot be had back.
package struct EmbeddingSketch: Sendable {
    package typealias Vector = SIMD16<Float>

    /// How many of the 16 are used, the first ones: an even number, fewer for a vector of less than 32 numbers, so that none is
    /// a sum of the others.
    package let dimensions: Int
    /// Of each of the vector's numbers.
    private let signs: [Vector]
    private let scale: Float

    /// The sign of number i in sum j is bit j of the i-th number of SplitMix64(0), 1 for plus.
    package init(width: Int) {
        dimensions = min(16, width / 4 * 2)
        var generator = SplitMix64(state: 0)
        var signs: [Vector] = []
        for _ in 0..<width {
            let bits = generator.next()
            var row = Vector.zero
            for sum in 0..<dimensions { row[sum] = bits >> UInt64(sum) & 1 == 1 ? 1 : -1 }
            signs.append(row)
        }
        self.signs = signs
        scale = 1 / Float(max(1, width)).squareRoot()
    }

    /// In the order of the vector's numbers, so that the bits are the same everywhere.
    package func callAsFunction(_ vector: UnsafeBufferPointer<Float>) -> Vector {
        precondition(vector.count == signs.count)
        var sums = Vector.zero
        for (value, row) in zip(vector, signs) { sums += row * value }
        return sums * scale
    }
}
