/// The transformer encoder of BERT (Devlin et al. 2018) and RoBERTa (Liu et al. 2019).
///
/// Post-norm layers over token-packed batches. The last layer is computed for the classification token alone, past the
/// keys and values that it attends to: nothing else of it is ever read.
package struct Encoder: Sendable {
    package struct Layer: Sendable {
        /// The attention's inputs: [query; key; value] in one product, or for the last layer the queries apart.
        enum Projection: Sendable {
            case all(Linear)
            case classificationToken(query: Linear, keyValue: Linear)
        }

        let projection: Projection
        let attentionOutput: Linear
        let attentionNorm: LayerNorm
        let up, down: Linear
        let outputNorm: LayerNorm
    }

    let words: EmbeddingTable
    let positions: PositionTable
    let embeddingNorm: LayerNorm
    let layers: [Layer]
    let heads: Int
    let hidden: Int

    /// The tensors' names under `prefix`, the same in both architectures.
    package init(_ config: ModelConfig, _ weights: inout WeightReader, prefix: String) throws(InputError) {
        let (hidden, intermediate) = (config.hidden, config.intermediate)
        func norm(_ name: String) throws(InputError) -> LayerNorm {
            LayerNorm(
                gamma: try weights.vector("\(prefix).\(name).weight", hidden),
                beta: try weights.vector("\(prefix).\(name).bias", hidden), epsilon: config.layerNormEpsilon)
        }
        words = try weights.table("\(prefix).embeddings.word_embeddings.weight", config.vocabulary, hidden)
        positions = try PositionTable(
            try weights.table("\(prefix).embeddings.position_embeddings.weight", config.positions, hidden),
            types: try weights.table("\(prefix).embeddings.token_type_embeddings.weight", config.types, hidden),
            in: weights.arena)
        embeddingNorm = try norm("embeddings.LayerNorm")
        var layers: [Layer] = []
        for index in 0..<config.layers {
            let layer = "encoder.layer.\(index)"
            let attention = "\(prefix).\(layer).attention"
            let (query, key, value) = ("\(attention).self.query", "\(attention).self.key", "\(attention).self.value")
            let projection: Layer.Projection =
                index == config.layers - 1
                ? .classificationToken(
                    query: try weights.linear(query, from: hidden, to: hidden),
                    keyValue: try weights.linear([key, value], from: hidden, to: hidden))
                : .all(try weights.linear([query, key, value], from: hidden, to: hidden))
            layers.append(
                Layer(
                    projection: projection,
                    attentionOutput: try weights.linear("\(attention).output.dense", from: hidden, to: hidden),
                    attentionNorm: try norm("\(layer).attention.output.LayerNorm"),
                    up: try weights.linear("\(prefix).\(layer).intermediate.dense", from: hidden, to: intermediate),
                    down: try weights.linear("\(prefix).\(layer).output.dense", from: intermediate, to: hidden),
                    outputNorm: try norm("\(layer).output.LayerNorm")))
        }
        self.layers = layers
        heads = config.heads
        self.hidden = hidden.value
    }

    /// The classification tokens' hidden states, [sequences, hidden].
    package func callAsFunction(_ batch: TokenBatch, scratch: EncoderScratch, _ ops: Ops) -> Activations {
        let tokens = batch.ids.count
        let (query, key, value) = (0..<hidden, hidden..<2 * hidden, 2 * hidden..<3 * hidden)
        let qkv = scratch.queryKeyValue.prefix(tokens)
        var x = scratch.x.prefix(tokens)
        ops.embed(words, batch.ids, positions, batch.positionIDs, into: x.values)
        ops.layerNorm(x.values, embeddingNorm, into: x)

        for layer in layers {
            var queries = Ops.Queries.all
            var q = qkv.columns(query)
            switch layer.projection {
            case .all(let queryKeyValue): ops.linear(x, queryKeyValue, into: qkv)
            case .classificationToken(let query, let keyValue):
                ops.linear(x, keyValue, into: qkv.columns(key.lowerBound..<value.upperBound))
                let first = scratch.first.prefix(batch.sequences.count)
                ops.gatherFirst(x.values, of: batch.sequences, into: first)
                (x, queries, q) = (first, .first, scratch.firstQueries.prefix(first.rows))
                ops.linear(x, query, into: q)
            }
            let attended = scratch.attended.prefix(x.rows)
            let projected = scratch.projected.prefix(x.rows)
            let wide = scratch.wide.prefix(x.rows)
            ops.attention(
                q: q, queries, k: qkv.columns(key), v: qkv.columns(value), sequences: batch.sequences, heads: heads,
                scratch.precision, scratch: scratch.attention, into: attended.values)
            ops.quantize(attended)
            ops.linear(attended, layer.attentionOutput, plus: x.values, into: projected)
            ops.layerNorm(projected, layer.attentionNorm, into: x)

            ops.linear(x, layer.up, gelu: true, into: wide.values)
            ops.quantize(wide)
            ops.linear(wide, layer.down, plus: x.values, into: projected)
            ops.layerNorm(projected, layer.outputNorm, into: x)
        }
        return x
    }
}

/// Every buffer of the forward pass, with its shape.
package struct EncoderScratch {
    let x: Activations  // [tokens, hidden]
    let queryKeyValue: Matrix  // [tokens, 3 · hidden]
    let attended: Activations  // [tokens, hidden]
    let projected: Matrix  // [tokens, hidden]
    let wide: Activations  // [tokens, intermediate]
    let attention: Matrix  // [threads, one head of the longest sequence]
    let first: Activations  // [sequences, hidden]
    let firstQueries: Matrix  // [sequences, hidden]
    let pooled: Activations  // [sequences, hidden]
    package let logits: Matrix  // [sequences, labels]
    let precision: Precision

    /// - Parameter tokens: the most of one batch, and so the most sequences.
    package init(
        _ config: ModelConfig, _ precision: Precision, on instructionSet: InstructionSet, tokens: Int, threads: Int,
        in arena: Arena
    ) throws(InputError) {
        self.precision = precision
        let hidden = config.hidden.value
        x = try Activations(arena, tokens, hidden, precision)
        queryKeyValue = try Matrix(arena, tokens, 3 * hidden)
        attended = try Activations(arena, tokens, hidden, precision)
        projected = try Matrix(arena, tokens, hidden)
        wide = try Activations(arena, tokens, config.intermediate.value, precision)
        attention = try Matrix(
            arena, threads,
            instructionSet.attentionScratch(keys: config.maximumTokens, headSize: hidden / config.heads))
        first = try Activations(arena, tokens, hidden, precision)
        firstQueries = try Matrix(arena, tokens, hidden)
        pooled = try Activations(arena, tokens, hidden, precision)
        logits = try Matrix(arena, tokens, config.labels.count)
    }
}
