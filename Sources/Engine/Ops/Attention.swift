import Kernels

extension Ops {
    /// Which rows of q a sequence has.
    package enum Queries {
        /// Those of its tokens.
        case all
        /// One row a sequence, in order, of its first token.
        case first
    }

    /// From so many keys on, int8 attention is faster than f32 with its conversions and panels of 64.
    private static let int8Keys = 64

    /// Queries of a block where a window hides keys: the keys that none of them sees are left out.
    private static let windowBlock = 64

    /// What attention is made of: q [queries, hidden], k, v [tokens, hidden].
    package struct AttentionInputs {
        let q: Matrix
        let queries: Queries
        let k, v: Matrix
    }

    /// Multi-head attention within each sequence, out [queries, hidden]; scratch: a row for each thread of `attentionScratch`.
    /// Products in int8 where those of `out` are and the sequence is long; that depends on the sequence alone, so its result
    /// does not depend on the batch.
    ///
    /// - Parameter scale: of the scores; nil for 1/√(head size).
    package func attention(
        _ inputs: AttentionInputs, _ sequences: [Range<Int>], heads: Int, scale: Float? = nil, bias: DistanceBias? = nil,
        scratch: Matrix, into out: Activations
    ) {
        let heads = Heads(inputs, out: out, count: heads)
        let workspace = scratch.row(thread.pointee.index)
        let scale = scale ?? 1 / Float(heads.size).squareRoot()
        share(sequences.count * heads.count) { pieces in
            for piece in pieces {
                let (sequence, head) = (piece / heads.count, piece % heads.count)
                let keys = sequences[sequence]
                let rows = inputs.queries == .all ? keys : sequence..<sequence + 1
                guard let bias else {
                    attend(heads, head, rows, keys, scale, nil, workspace)
                    continue
                }
                let step = bias.window == nil ? rows.count : Self.windowBlock
                for first in stride(from: 0, to: rows.count, by: step) {
                    let last = min(first + step, rows.count)
                    let window = bias.window ?? keys.count
                    let seen = max(0, first - window)..<min(keys.count, last + window)
                    var values = bias.values(head: head, query: first, key: seen.lowerBound, tokens: keys.count)
                    attend(
                        heads, head, rows.lowerBound + first..<rows.lowerBound + last,
                        keys.lowerBound + seen.lowerBound..<keys.lowerBound + seen.upperBound, scale, &values, workspace)
                }
            }
        }
        quantizeShared(out)
    }

    /// An attention's matrices, cut into heads side by side.
    struct Heads {
        let q, k, v: Matrix
        let out: Activations
        let count: Int
        let size: Int

        init(_ inputs: AttentionInputs, out: Activations, count: Int) {
            (q, k, v) = (inputs.q, inputs.k, inputs.v)
            size = q.columns / count
            precondition(size * count == q.columns && k.columns == q.columns && v.columns == q.columns)
            precondition(out.values.columns == q.columns && out.rows == q.rows)
            precondition(k.rows == v.rows && k.stride == v.stride)
            (self.out, self.count) = (out, count)
        }
    }

    /// One head of queries `rows` of q over `keys`.
    func attend(
        _ heads: Heads, _ head: Int, _ rows: Range<Int>, _ keys: Range<Int>, _ scale: Float,
        _ bias: UnsafePointer<apus_score_bias>?, _ workspace: UnsafeBufferPointer<Float>
    ) {
        let (q, k, v, out) = (heads.q, heads.k, heads.v, heads.out.values)
        let column = head * heads.size
        precondition(rows.upperBound <= q.rows && keys.upperBound <= k.rows && !keys.isEmpty)
        let isInt8 = heads.out.quantized != nil && keys.count >= Self.int8Keys
        let need = isInt8 ? kernels.pointee.attention_u8s8_scratch! : kernels.pointee.attention_f32_scratch!
        precondition(need(keys.count, heads.size) <= workspace.count)
        let kernel = isInt8 ? kernels.pointee.attention_u8s8! : kernels.pointee.attention_f32!
        kernel(
            q.base + rows.lowerBound * q.stride + column, q.stride, rows.count,
            k.base + keys.lowerBound * k.stride + column, v.base + keys.lowerBound * v.stride + column, k.stride,
            keys.count, heads.size, scale, bias, UnsafeMutablePointer(mutating: workspace.baseAddress),
            out.base + rows.lowerBound * out.stride + column, out.stride)
    }

    /// The rows that others wrote, once all of them are there.
    func quantizeShared(_ x: Activations) {
        guard let quantized = x.quantized else { return }
        share(x.rows) { quantize(x.values, $0, into: quantized) }
    }
}
