import Kernels

/// How DeBERTa's tokens see each other's distance (He et al. 2021): each distance has a row, whose key meets the queries (content
/// to position) and whose query meets the keys (position to content). One for all layers.
package struct RelativeDistances: @unchecked Sendable {
    /// Of the table that distances have their rows in.
    let rows: Int
    /// Of distance i − j at i − j + tokens − 1. It never falls.
    private let row: UnsafeMutablePointer<Int32>
    private let tokens: Int

    /// - Parameters:
    ///   - tokens: the most of one text.
    ///   - row: a distance's, 0 ..< rows.
    package init(rows: Int, tokens: Int, in arena: Arena, _ row: (Int) -> Int) throws(InputError) {
        self.rows = rows
        self.tokens = tokens
        self.row = try arena.allocate(Int32.self, 2 * tokens - 1)
        for distance in 1 - tokens..<tokens {
            precondition(0..<rows ~= row(distance))
            self.row[distance + tokens - 1] = Int32(row(distance))
        }
    }

    subscript(distance: Int) -> Int {
        precondition(abs(distance) < tokens)
        return Int(row[distance + tokens - 1])
    }

    /// The floats that one head of a text of all tokens takes beside its attention.
    var scratch: Int { tokens * (2 * Linear.panels(rows) * Linear.panel + tokens) }
}

/// A layer's keys or queries of all distances, packed by head for f32 products. In an arena.
package struct RelativeProjection: @unchecked Sendable {
    /// [heads][panels][head size][64]
    private let packed: UnsafeMutablePointer<Float>
    private let noBias: UnsafeMutablePointer<Float>
    private let rows: Int
    private let headSize: Int

    /// - Parameter matrix: [rows, hidden].
    package init(_ matrix: Matrix, heads: Int, in arena: Arena) throws(InputError) {
        rows = matrix.rows
        headSize = matrix.columns / heads
        let panels = Linear.panels(rows)
        packed = try arena.allocate(Float.self, heads * panels * headSize * Linear.panel)
        noBias = try arena.allocate(Float.self, Linear.panel)
        for head in 0..<heads {
            for panel in 0..<panels {
                let first = panel * Linear.panel
                apus_pack_f32(
                    matrix.base + first * matrix.stride + head * headSize, matrix.stride, min(Linear.panel, rows - first),
                    headSize, packed + (head * panels + panel) * headSize * Linear.panel)
            }
        }
    }

    /// out [count, 64 · panels] = x [count, head size] · the head's rows, of the panels `panels`.
    func multiply(
        _ x: UnsafePointer<Float>, stride: Int, count: Int, head: Int, panels: ClosedRange<Int>,
        into out: UnsafeMutablePointer<Float>, _ kernels: UnsafePointer<apus_kernels>
    ) {
        let width = panels.count * Linear.panel
        for panel in panels {
            var epilogue = apus_epilogue(bias: noBias, residual: nil, residual_stride: 0, gelu: 0, reference: nil)
            kernels.pointee.gemm_f32(
                x, stride, count, packed + (head * Linear.panels(rows) + panel) * headSize * Linear.panel, headSize,
                min(Linear.panel, rows - panel * Linear.panel), &epilogue,
                out + (panel - panels.lowerBound) * Linear.panel, width)
        }
    }
}

extension Ops {
    /// Multi-head attention within each sequence as `attention` has it, with
    /// scale · (q[i]·keys[i − j] + k[j]·queries[i − j]) added to the scores.
    ///
    /// - Parameters:
    ///   - keys, queries: the distances', each where the model has them.
    ///   - scratch: a row for each thread of `attentionScratch`.
    ///   - relativeScratch: a row for each thread of `distances.scratch`.
    package func disentangledAttention(
        _ inputs: AttentionInputs, _ sequences: [Range<Int>], heads: Int, scale: Float, _ distances: RelativeDistances,
        keys: RelativeProjection?, queries: RelativeProjection?, scratch: Matrix, relativeScratch: Matrix,
        into out: Activations
    ) {
        let heads = Heads(inputs, out: out, count: heads)
        let (q, k) = (heads.q, heads.k)
        let workspace = scratch.row(thread.pointee.index)
        let relative = relativeScratch.row(thread.pointee.index)
        share(sequences.count * heads.count) { pieces in
            for piece in pieces {
                let (sequence, head) = (piece / heads.count, piece % heads.count)
                let tokens = sequences[sequence]
                let rows = inputs.queries == .all ? tokens : sequence..<sequence + 1
                let (count, column) = (tokens.count, head * heads.size)
                let panels = distances[1 - count] / Linear.panel...distances[rows.count - 1] / Linear.panel
                let width = panels.count * Linear.panel
                precondition((rows.count + count) * width + rows.count * count <= relative.count)
                let byQuery = UnsafeMutablePointer(mutating: relative.baseAddress!)
                let (byKey, bias) = (byQuery + rows.count * width, byQuery + (rows.count + count) * width)
                keys?.multiply(
                    q.base + rows.lowerBound * q.stride + column, stride: q.stride, count: rows.count, head: head,
                    panels: panels, into: byQuery, kernels)
                queries?.multiply(
                    k.base + tokens.lowerBound * k.stride + column, stride: k.stride, count: count, head: head,
                    panels: panels, into: byKey, kernels)
                for i in 0..<rows.count {
                    for j in 0..<count {
                        let place = distances[i - j] - panels.lowerBound * Linear.panel
                        let ofKey = keys == nil ? 0 : byQuery[i * width + place]
                        let ofQuery = queries == nil ? 0 : byKey[j * width + place]
                        bias[i * count + j] = (ofKey + ofQuery) * scale
                    }
                }
                var values = apus_score_bias(values: bias, stride: count)
                attend(heads, head, rows, tokens, scale, &values, workspace)
            }
        }
        quantizeShared(out)
    }
}
