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
    let kernels: UnsafePointer<apus_kernels>
    let thread: UnsafeMutablePointer<apus_thread>
    /// Whether the products' references are written, not used: the first row of the inputs becomes the reference.
    private(set) var writesReferences = false

    init(kernels: UnsafePointer<apus_kernels>, thread: UnsafeMutablePointer<apus_thread>) {
        self.kernels = kernels
        self.thread = thread
    }

    /// For one thread: the pass of a text whose first token becomes every product's reference.
    var writingReferences: Ops {
        precondition(thread.pointee.count == 1)
        var ops = self
        ops.writesReferences = true
        return ops
    }

    /// Which rows of a product's inputs are of texts' first tokens.
    package enum FirstTokens {
        /// The first of each sequence.
        case first([Range<Int>])
        case all
    }

    /// Which thread of the team it is, from 0 on.
    var threadIndex: Int { thread.pointee.index }

    /// y [rows, outputs] = x [rows, inputs] · Wᵀ + b, then the activation, then + residual.
    ///
    /// - Parameter firstTokens: which rows are taken relative to the layer's reference, where it has one: x is for this product
    ///   alone then, for in int8 these rows are no longer what they were.
    package func linear(
        _ x: Activations, _ layer: Linear, _ activation: Activation? = nil, plus residual: Matrix? = nil,
        firstTokens: FirstTokens? = nil, into y: Matrix
    ) {
        precondition(activation == nil || activation == .gelu || residual == nil, "a residual comes last")
        if let firstTokens { relate(x, layer, firstTokens) }
        product(x, layer, gelu: activation == .gelu, plus: residual, into: y)
        guard let activation, activation != .gelu else { return }
        share(y.rows) { rows in
            for row in rows { kernel(activation)(y.base + row * y.stride, y.columns) }
        }
    }

    /// The same, for another product to take.
    package func linear(
        _ x: Activations, _ layer: Linear, _ activation: Activation? = nil, firstTokens: FirstTokens? = nil,
        into y: Activations
    ) {
        if let firstTokens { relate(x, layer, firstTokens) }
        product(x, layer, gelu: activation == .gelu, plus: nil, into: y.values)
        guard activation != nil && activation != .gelu || y.quantized != nil else { return }
        share(y.rows) { rows in
            if let activation, activation != .gelu {
                for row in rows { kernel(activation)(y.values.base + row * y.values.stride, y.values.columns) }
            }
            if let quantized = y.quantized { quantize(y.values, rows, into: quantized) }
        }
    }

    func kernel(_ activation: Activation) -> @convention(c) (UnsafeMutablePointer<Float>?, Int) -> Void {
        switch activation {
        case .gelu: kernels.pointee.gelu_f32
        case .geluTanh: kernels.pointee.gelu_tanh_f32
        case .relu: kernels.pointee.relu_f32
        case .silu: kernels.pointee.silu_f32
        case .tanh: kernels.pointee.tanh_f32
        }
    }

    private func product(_ x: Activations, _ layer: Linear, gelu: Bool, plus residual: Matrix?, into y: Matrix) {
        let rows = x.rows
        precondition(x.values.columns == layer.inputs && y.rows == rows && y.columns == layer.outputs)
        precondition(residual.map { $0.rows == rows && $0.columns == layer.outputs && $0.base != y.base } ?? true)
        layer.moments?.add(x.values, self)
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
                    residual_stride: residual?.stride ?? 0, gelu: gelu ? 1 : 0,
                    reference: layer.reference.map { UnsafePointer($0.output + column) })
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

    /// Of each first token's row either itself or what it differs by from the reference, whichever has the finer steps.
    private func relate(_ x: Activations, _ layer: Linear, _ firstTokens: FirstTokens) {
        guard let reference = layer.reference, let quantized = x.quantized else { return }
        precondition(x.values.columns == layer.inputs)
        if writesReferences { return write(reference, of: layer, quantized) }
        func one(_ row: Int) {
            precondition(row < x.rows)
            var out = quantized.kernelRows(from: row)
            kernels.pointee.quantize_relative_u8(x.values.base + row * x.values.stride, reference.input, layer.inputs, &out)
        }
        switch firstTokens {
        case .first(let sequences): share(sequences.count) { for index in $0 { one(sequences[index].lowerBound) } }
        case .all: share(x.rows) { $0.forEach(one) }
        }
    }

    /// The first row in int8, and its product: a difference to it is exact, whatever the row lost by its rounding.
    private func write(_ reference: Linear.Reference, of layer: Linear, _ quantized: QuantizedRows) {
        var row = quantized.kernelRows
        for index in 0..<layer.inputs {
            reference.input[index] = row.scale.pointee * Float(Int32(row.values[index]) - row.zero.pointee)
        }
        for panel in 0..<layer.panels {
            let column = panel * Linear.panel
            var weights = layer.int8Panel(panel)
            var epilogue = apus_epilogue(
                bias: layer.bias.base + column, residual: nil, residual_stride: 0, gelu: 0, reference: nil)
            kernels.pointee.gemm_u8s8(
                &row, 1, &weights, layer.steps, min(Linear.panel, layer.outputs - column), &epilogue,
                reference.output + column, Linear.panel)
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
        precondition(out.values.columns == x.columns && out.rows == x.rows)
        precondition(x.isDense && out.values.isDense)
        share(x.rows) { normalize(x, $0, norm, into: out) }
    }

    private func normalize(_ x: Matrix, _ rows: Range<Int>, _ norm: LayerNorm, into out: Activations) {
        let columns = x.columns
        precondition(norm.gamma.count == columns)
        let (first, count) = (rows.lowerBound, rows.count)
        let (from, to) = (x.base + first * columns, out.values.base + first * columns)
        let (gamma, beta) = (norm.gamma.base, norm.beta.base)
        if var quantized = out.quantized?.kernelRows(from: first) {
            kernels.pointee.layernorm_f32(from, gamma, beta, norm.epsilon, count, columns, to, &quantized)
        } else {
            kernels.pointee.layernorm_f32(from, gamma, beta, norm.epsilon, count, columns, to, nil)
        }
    }

    func quantize(_ x: Matrix, _ rows: Range<Int>, into quantized: QuantizedRows) {
        var out = quantized.kernelRows(from: rows.lowerBound)
        kernels.pointee.quantize_u8(x.base + rows.lowerBound * x.stride, x.stride, rows.count, x.columns, &out)
    }

    /// out[i] = norm(words[ids[i]] + places[positionIDs[i]]); nothing is added where there are no places, and nothing normalized
    /// where there is no norm.
    package func embed(
        _ words: EmbeddingTable, _ ids: [Int], _ places: PositionTable?, _ positionIDs: [Int], _ norm: LayerNorm?,
        into out: Activations
    ) {
        let columns = out.values.columns
        precondition(words.columns == columns && out.values.isDense)
        precondition(places.map { $0.matrix.columns == columns } ?? true)
        precondition(ids.count == out.rows && positionIDs.count == out.rows)
        share(out.rows) { rows in
            for row in rows {
                let sum = out.values.base + row * columns
                words.matrix.read(row: ids[row], into: sum)
                guard let addend = places?.matrix.row(positionIDs[row]) else { continue }
                for column in 0..<columns { sum[column] += addend[column] }
            }
            if let norm {
                normalize(out.values, rows, norm, into: out)
            } else if let quantized = out.quantized {
                quantize(out.values, rows, into: quantized)
            }
        }
    }

    /// out[i] = x[sequences[i].lowerBound]
    package func gatherFirst(_ x: Matrix, of sequences: [Range<Int>], into out: Matrix) {
        precondition(out.rows == sequences.count && out.columns == x.columns)
        share(out.rows) { rows in
            for row in rows { out.setRow(row, to: x.row(sequences[row].lowerBound)) }
        }
    }

    /// The same, for products.
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

    /// Hands out 0..<total among the threads, and waits until all is done.
    @inline(__always)
    func share(_ total: Int, _ body: (Range<Int>) -> Void) {
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

    /// x = 1 / (1 + exp(−x)): the softmax of [x, 0].
    package func sigmoid(_ x: inout [Float]) {
        for index in x.indices {
            var pair = [x[index], 0]
            softmax(&pair)
            x[index] = pair[0]
        }
    }

    /// x = softmax(x)
    package func softmax(_ x: inout [Float]) {
        precondition(!x.isEmpty)
        x.withUnsafeMutableBufferPointer { kernels.pointee.softmax_f32($0.baseAddress!, $0.count) }
    }
}
