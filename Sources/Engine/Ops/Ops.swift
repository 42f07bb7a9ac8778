import COpenBLAS
import Kernels

/// y = x·Wᵀ + b
package struct Linear: Sendable {
    /// [outputs, inputs]
    package let weight: Weights
    /// [outputs]
    package let bias: Weights

    package init(weight: Weights, bias: Weights) {
        precondition(bias.columns == weight.rows)
        self.weight = weight
        self.bias = bias
    }
}

package struct LayerNorm: Sendable {
    package let gamma: Weights
    package let beta: Weights
    package let epsilon: Float

    package init(gamma: Weights, beta: Weights, epsilon: Float) {
        precondition(gamma.columns == beta.columns)
        self.gamma = gamma
        self.beta = beta
        self.epsilon = epsilon
    }
}

/// The operations of a forward pass, on one instruction set. Every operation checks its shapes, then makes one call.
package struct Ops: Sendable {
    package let instructionSet: InstructionSet

    package init(_ instructionSet: InstructionSet) {
        self.instructionSet = instructionSet
    }

    private var kernels: apus_kernels { instructionSet.kernels.pointee }

    /// y [rows, outputs] = x [rows, inputs] · Wᵀ + b
    package func linear(_ x: Matrix, _ layer: Linear, into y: Matrix) {
        let (rows, inputs, outputs) = (x.rows, x.columns, layer.weight.rows)
        precondition(layer.weight.columns == inputs && y.rows == rows && y.columns == outputs)
        for row in 0..<rows { (y.base + row * outputs).update(from: layer.bias.base, count: outputs) }
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, blasint(rows), blasint(outputs), blasint(inputs), 1, x.base,
            blasint(inputs), layer.weight.base, blasint(inputs), 1, y.base, blasint(outputs))
    }

    /// out = norm(x + residual); out may be x or the residual.
    package func layerNorm(_ x: Matrix, plus residual: Matrix? = nil, _ norm: LayerNorm, into out: Matrix) {
        precondition(norm.gamma.columns == x.columns && out.columns == x.columns && out.rows == x.rows)
        precondition(residual.map { $0.rows == x.rows && $0.columns == x.columns } ?? true)
        kernels.layernorm_f32(
            x.base, residual?.base, norm.gamma.base, norm.beta.base, norm.epsilon, x.rows, x.columns, out.base)
    }

    package func gelu(_ x: Matrix) { kernels.gelu_f32(x.base, x.count) }

    package func tanh(_ x: Matrix) { kernels.tanh_f32(x.base, x.count) }

    /// x[row] = softmax(x[row])
    package func softmax(_ x: inout [Float]) {
        precondition(!x.isEmpty)
        x.withUnsafeMutableBufferPointer { kernels.softmax_f32($0.baseAddress!, $0.count) }
    }

    /// out[row] = Σ tables[t][indices[t][row]]: the embeddings' sum.
    package func embed(_ tables: [(table: Weights, indices: [Int])], into out: Matrix) {
        for (table, indices) in tables {
            precondition(table.columns == out.columns && indices.count == out.rows)
            precondition(indices.allSatisfy { 0..<table.rows ~= $0 })
        }
        for row in 0..<out.rows {
            let sum = out.base + row * out.columns
            for (position, (table, indices)) in tables.enumerated() {
                let addend = table.base + indices[row] * out.columns
                if position == 0 {
                    sum.update(from: addend, count: out.columns)
                } else {
                    for column in 0..<out.columns { sum[column] += addend[column] }
                }
            }
        }
    }

    /// out[i] = x[rows[i]]
    package func gather(_ x: Matrix, rows: [Int], into out: Matrix) {
        precondition(out.rows == rows.count && out.columns == x.columns && rows.allSatisfy { 0..<x.rows ~= $0 })
        for (index, row) in rows.enumerated() {
            (out.base + index * out.columns).update(from: x.base + row * x.columns, count: x.columns)
        }
    }

    /// Multi-head attention within each sequence: q, out [queries, hidden], k, v [tokens, hidden].
    /// Sequence s has the keys `keys[s]` and the queries `queries[s]`, as row ranges; scores: one row of scratch.
    package func attention(
        q: Matrix, k: Matrix, v: Matrix, heads: Int, queries: [Range<Int>], keys: [Range<Int>], scores: Matrix,
        into out: Matrix
    ) {
        let hidden = q.columns
        let headSize = hidden / heads
        precondition(headSize * heads == hidden && k.columns == hidden && v.columns == hidden && out.columns == hidden)
        precondition(queries.count == keys.count && k.rows == v.rows && q.rows == out.rows)
        let scale = 1 / Float(headSize).squareRoot()
        for (queries, keys) in zip(queries, keys) {
            precondition(queries.upperBound <= q.rows && keys.upperBound <= k.rows)
            precondition(!keys.isEmpty && keys.count <= scores.columns)
            for head in 0..<heads {
                let column = head * headSize
                kernels.attention_f32(
                    q.base + queries.lowerBound * hidden + column, hidden, queries.count,
                    k.base + keys.lowerBound * hidden + column, v.base + keys.lowerBound * hidden + column, hidden,
                    keys.count, headSize, scale, scores.base, out.base + queries.lowerBound * hidden + column, hidden)
            }
        }
    }

    /// The number of threads that matrix products use, in the whole process.
    package static func setThreads(_ count: Int) { openblas_set_num_threads(Int32(count)) }
}
