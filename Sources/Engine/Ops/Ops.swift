import Kernels

package struct LayerNorm: Sendable {
    package let gamma: Vector
    package let beta: Vector
    package let epsilon: Float

    package init(gamma: Vector, beta: Vector, epsilon: Float) {
        precondition(gamma.count == beta.count)
        self.gamma = gamma
        self.beta = beta
        self.epsilon = epsilon
    }
}

/// One thread's hands in a forward pass. All threads of the team call the same operations in the same order; each operation
/// checks its shapes, takes its share of the pieces, and returns when all of them are done.
package struct Ops {
    private let kernels: UnsafePointer<apus_kernels>
    private let thread: UnsafeMutablePointer<apus_thread>

    init(kernels: UnsafePointer<apus_kernels>, thread: UnsafeMutablePointer<apus_thread>) {
        self.kernels = kernels
        self.thread = thread
    }

    /// Which thread of the team it is, from 0 on.
    var threadIndex: Int { thread.pointee.index }

    /// y [rows, outputs] = x [rows, inputs] · Wᵀ + b, then GELU where asked for, then + residual.
    package func linear(
        _ x: Activations, _ layer: Linear, gelu: Bool = false, plus residual: Matrix? = nil, into y: Matrix
    ) {
        let rows = x.rows
        precondition(x.values.columns == layer.inputs && y.rows == rows && y.columns == layer.outputs)
        precondition(residual.map { $0.rows == rows && $0.columns == layer.outputs && $0.base != y.base } ?? true)
        if layer.format == .rows { return openBLAS(x.values, layer, gelu: gelu, plus: residual, into: y) }
        // A piece is a panel; with few panels for many threads, a panel for a part of the rows: four tiles of them at the
        // least, for each piece brings the panel from memory, and six pieces for each thread, so that all end together.
        let tile = layer.format == .int8 ? kernels.pointee.rows_u8s8 : kernels.pointee.rows_f32
        let blocks = min(
            max(1, Self.pieces(rows, of: 4 * tile)), Self.pieces(6 * thread.pointee.count, of: layer.panels))
        let blockRows = Self.pieces(Self.pieces(rows, of: blocks), of: tile) * tile
        share(layer.panels * blocks) { pieces in
            for piece in pieces {
                let (panel, first) = (piece / blocks, piece % blocks * blockRows)
                guard first < rows else { continue }
                let column = panel * Linear.panel
                let width = min(Linear.panel, layer.outputs - column)
                var epilogue = apus_epilogue(
                    bias: layer.bias.base + column,
                    residual: residual.map { UnsafePointer($0.base + first * $0.stride + column) },
                    residual_stride: residual?.stride ?? 0, gelu: gelu ? 1 : 0)
                let count = min(blockRows, rows - first)
                let out = y.base + first * y.stride + column
                if layer.format == .int8 {
                    var input = x.quantized!.kernelRows(from: first)
                    var weights = layer.int8Panel(panel)
                    kernels.pointee.gemm_u8s8(&input, count, &weights, layer.steps, width, &epilogue, out, y.stride)
                } else {
                    kernels.pointee.gemm_f32(
                        x.values.base + first * x.values.stride, x.values.stride, count, layer.f32Panel(panel),
                        layer.inputs, width, &epilogue, out, y.stride)
                }
            }
        }
    }

    /// OpenBLAS brings threads of its own: the team is one.
    private func openBLAS(_ x: Matrix, _ layer: Linear, gelu: Bool, plus residual: Matrix?, into y: Matrix) {
        precondition(thread.pointee.count == 1 && !(gelu && residual != nil))
        for row in 0..<x.rows {
            let out = y.base + row * y.stride
            if let residual {
                let addend = residual.row(row)
                for column in 0..<y.columns { out[column] = addend[column] + layer.bias.base[column] }
            } else {
                out.update(from: layer.bias.base, count: y.columns)
            }
        }
        OpenBLAS.shared!.addProduct(  // a session whose layers are rows has opened it
            x.base, stride: x.stride, rows: x.rows, layer.rowMajor, inputs: layer.inputs, outputs: layer.outputs, to: y.base,
            stride: y.stride)
        if gelu { for row in 0..<x.rows { kernels.pointee.gelu_f32(y.base + row * y.stride, y.columns) } }
    }

    /// out = norm(x); out may be x.
    package func layerNorm(_ x: Matrix, _ norm: LayerNorm, into out: Activations) {
        let columns = x.columns
        precondition(norm.gamma.count == columns && out.values.columns == columns && out.rows == x.rows)
        precondition(x.isDense && out.values.isDense)
        share(x.rows) { rows in
            let (first, count) = (rows.lowerBound, rows.count)
            let (from, to) = (x.base + first * columns, out.values.base + first * columns)
            if var quantized = out.quantized?.kernelRows(from: first) {
                kernels.pointee.layernorm_f32(
                    from, norm.gamma.base, norm.beta.base, norm.epsilon, count, columns, to, &quantized)
            } else {
                kernels.pointee.layernorm_f32(
                    from, norm.gamma.base, norm.beta.base, norm.epsilon, count, columns, to, nil)
            }
        }
    }

    /// The quantized rows from the values, where products are int8.
    package func quantize(_ x: Activations) {
        guard let quantized = x.quantized else { return }
        share(x.rows) { quantize(x.values, $0, into: quantized) }
    }

    private func quantize(_ x: Matrix, _ rows: Range<Int>, into quantized: QuantizedRows) {
        var out = quantized.kernelRows(from: rows.lowerBound)
        kernels.pointee.quantize_u8(x.base + rows.lowerBound * x.stride, x.stride, rows.count, x.columns, &out)
    }

    package func tanh(_ x: Matrix) {
        share(x.rows) { rows in
            for row in rows { kernels.pointee.tanh_f32(x.base + row * x.stride, x.columns) }
        }
    }

    /// out[i] = words[ids[i]] + positions[positionIDs[i]]
    package func embed(
        _ words: EmbeddingTable, _ ids: [Int], _ positions: PositionTable, _ positionIDs: [Int], into out: Matrix
    ) {
        precondition(words.columns == out.columns && positions.matrix.columns == out.columns)
        precondition(ids.count == out.rows && positionIDs.count == out.rows)
        share(out.rows) { rows in
            for row in rows {
                let sum = out.base + row * out.stride
                words.matrix.read(row: ids[row], into: sum)
                let addend = positions.matrix.row(positionIDs[row])
                for column in 0..<out.columns { sum[column] += addend[column] }
            }
        }
    }

    /// out[i] = x[rows[i].lowerBound]
    package func gatherFirst(_ x: Matrix, of sequences: [Range<Int>], into out: Activations) {
        precondition(out.rows == sequences.count && out.values.columns == x.columns)
        share(out.rows) { rows in
            for row in rows {
                let from = x.row(sequences[row].lowerBound)
                (out.values.base + row * out.values.stride).update(from: from.baseAddress!, count: x.columns)
            }
            if let quantized = out.quantized { quantize(out.values, rows, into: quantized) }
        }
    }

    /// Which rows of q a sequence has.
    package enum Queries {
        /// Those of its tokens.
        case all
        /// One row a sequence, in order.
        case first
    }

    /// From so many keys on, int8 attention is faster than f32 with its conversions and panels of 64.
    private static let int8Keys = 64

    /// Multi-head attention within each sequence: q, out [queries, hidden], k, v [tokens, hidden]; scratch: a row for each
    /// thread of `attentionScratch`. Products in int8 where `precision` is and the sequence is long; that depends on the
    /// sequence alone, so its result does not depend on the batch.
    package func attention(
        q: Matrix, _ queries: Queries, k: Matrix, v: Matrix, sequences: [Range<Int>], heads: Int, _ precision: Precision,
        scratch: Matrix, into out: Matrix
    ) {
        let hidden = q.columns
        let headSize = hidden / heads
        precondition(headSize * heads == hidden && k.columns == hidden && v.columns == hidden && out.columns == hidden)
        precondition(k.rows == v.rows && k.stride == v.stride && q.rows == out.rows)
        let workspace = scratch.row(thread.pointee.index)
        let scale = 1 / Float(headSize).squareRoot()
        share(sequences.count * heads) { pieces in
            for piece in pieces {
                let (sequence, column) = (piece / heads, piece % heads * headSize)
                let keys = sequences[sequence]
                let rows = queries == .all ? keys : sequence..<sequence + 1
                precondition(rows.upperBound <= q.rows && keys.upperBound <= k.rows && !keys.isEmpty)
                let isInt8 = precision == .int8 && keys.count >= Self.int8Keys
                let need = isInt8 ? kernels.pointee.attention_u8s8_scratch! : kernels.pointee.attention_f32_scratch!
                precondition(need(keys.count, headSize) <= workspace.count)
                let kernel = isInt8 ? kernels.pointee.attention_u8s8! : kernels.pointee.attention_f32!
                kernel(
                    q.base + rows.lowerBound * q.stride + column, q.stride, rows.count,
                    k.base + keys.lowerBound * k.stride + column, v.base + keys.lowerBound * v.stride + column, k.stride,
                    keys.count, headSize, scale, UnsafeMutablePointer(mutating: workspace.baseAddress),
                    out.base + rows.lowerBound * out.stride + column, out.stride)
            }
        }
    }

    /// Hands out 0..<total among the threads, and waits until all is done.
    @inline(__always)
    private func share(_ total: Int, _ body: (Range<Int>) -> Void) {
        var first = 0
        var last = 0
        while apus_thread_take(thread, total, &first, &last) != 0 { body(first..<last) }
        apus_thread_barrier(thread)
    }

    private static func pieces(_ total: Int, of size: Int) -> Int { (total + size - 1) / size }
}

extension InstructionSet {
    /// The scratch of one thread's attention, in values.
    package func attentionScratch(keys: Int, headSize: Int) -> Int {
        max(
            kernels.pointee.attention_f32_scratch(keys, headSize), kernels.pointee.attention_u8s8_scratch(keys, headSize))
    }

    /// x = softmax(x)
    package func softmax(_ x: inout [Float]) {
        precondition(!x.isEmpty)
        x.withUnsafeMutableBufferPointer { kernels.pointee.softmax_f32($0.baseAddress!, $0.count) }
    }
}
