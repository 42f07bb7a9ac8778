/// What ModernBERT has beside attention and products.
extension Ops {
    /// out = activation(x's first half) · x's second half, of each row.
    package func gate(_ x: Matrix, _ activation: Activation, into out: Activations) {
        let columns = out.values.columns
        precondition(x.columns == 2 * columns && x.rows == out.rows)
        share(x.rows) { rows in
            for row in rows {
                let (input, gate) = (x.base + row * x.stride, x.base + row * x.stride + columns)
                let result = out.values.base + row * out.values.stride
                result.update(from: input, count: columns)
                kernel(activation)(result, columns)
                for column in 0..<columns { result[column] *= gate[column] }
            }
            if let quantized = out.quantized { quantize(out.values, rows, into: quantized) }
        }
    }

    /// Turns each head of x, [tokens, heads · head size], by its token's position (Su et al. 2021).
    package func rotate(_ x: Matrix, by angles: RotaryAngles, _ positionIDs: [Int]) {
        let half = angles.columns
        precondition(x.columns.isMultiple(of: 2 * half) && positionIDs.count == x.rows)
        share(x.rows) { rows in
            for row in rows {
                let (cosine, sine) = angles.row(positionIDs[row])
                for column in stride(from: 0, to: x.columns, by: 2 * half) {
                    let low = x.base + row * x.stride + column
                    let high = low + half
                    for column in 0..<half {
                        let (a, b) = (low[column], high[column])
                        low[column] = a * cosine[column] - b * sine[column]
                        high[column] = b * cosine[column] + a * sine[column]
                    }
                }
            }
        }
    }

    /// out[i] = the mean of x's rows of sequence i, added up in order.
    package func mean(_ x: Matrix, of sequences: [Range<Int>], into out: Activations) {
        precondition(out.rows == sequences.count && out.values.columns == x.columns)
        share(out.rows) { rows in
            for row in rows {
                let sum = out.values.base + row * out.values.stride
                sum.update(repeating: 0, count: x.columns)
                for token in sequences[row] {
                    let addend = x.row(token)
                    for column in 0..<x.columns { sum[column] += addend[column] }
                }
                let count = Float(sequences[row].count)
                for column in 0..<x.columns { sum[column] /= count }
            }
            if let quantized = out.quantized { quantize(out.values, rows, into: quantized) }
        }
    }
}

/// The cosine and sine of each position's angles, in an arena.
package struct RotaryAngles: @unchecked Sendable {
    private let cosines: Matrix  // [positions, head size / 2]
    private let sines: Matrix

    /// - Parameters:
    ///   - base: position p has the angles p / base^(2i / head size), in f32 as Transformers has them.
    package init(base: Double, positions: Int, headSize: Int, in arena: Arena) throws(InputError) {
        precondition(headSize.isMultiple(of: 2))
        cosines = try Matrix(arena, positions, headSize / 2)
        sines = try Matrix(arena, positions, headSize / 2)
        let logarithm = ReproducibleMath.log(base)
        for column in 0..<headSize / 2 {
            let exponent = Float(2 * column) / Float(headSize)
            let frequency = 1 / Float(ReproducibleMath.exp(Double(exponent) * logarithm))
            for position in 0..<positions {
                let (sine, cosine) = ReproducibleMath.sineAndCosine(Double(Float(position) * frequency))
                cosines.base[position * cosines.stride + column] = Float(cosine)
                sines.base[position * sines.stride + column] = Float(sine)
            }
        }
    }

    var columns: Int { cosines.columns }

    func row(_ position: Int) -> (cosine: UnsafeBufferPointer<Float>, sine: UnsafeBufferPointer<Float>) {
        (cosines.row(position), sines.row(position))
    }
}
