/// The transformer encoder of BERT (Devlin et al. 2018) and RoBERTa (Liu et al. 2019).
///
/// Post-norm layers over token-packed batches. The last layer is computed for the classification token alone, past the
/// keys and values that it attends to: nothing else of it is ever read.
package struct Encoder: Sendable {
    package struct Layer: Sendable {
        let query, key, value, attentionOutput: Linear
        let attentionNorm: LayerNorm
        let up, down: Linear
        let outputNorm: LayerNorm
    }

    let words: Weights
    let positions: Weights
    let types: Weights
    let embeddingNorm: LayerNorm
    let layers: [Layer]
    let heads: Int

    /// The tensors' names under `prefix`, the same in both architectures.
    package init(_ config: ModelConfig, _ weights: inout WeightReader, prefix: String) throws(InputError) {
        let (hidden, intermediate) = (config.hidden, config.intermediate)
        func linear(_ name: String, from inputs: Extent, to outputs: Extent) throws(InputError) -> Linear {
            try weights.linear("\(prefix).\(name)", from: inputs, to: outputs)
        }
        func norm(_ name: String) throws(InputError) -> LayerNorm {
            LayerNorm(
                gamma: try weights.vector("\(prefix).\(name).weight", hidden),
                beta: try weights.vector("\(prefix).\(name).bias", hidden), epsilon: config.layerNormEpsilon)
        }
        words = try weights.matrix("\(prefix).embeddings.word_embeddings.weight", config.vocabulary, hidden)
        positions = try weights.matrix("\(prefix).embeddings.position_embeddings.weight", config.positions, hidden)
        types = try weights.matrix("\(prefix).embeddings.token_type_embeddings.weight", config.types, hidden)
        embeddingNorm = try norm("embeddings.LayerNorm")
        var layers: [Layer] = []
        for index in 0..<config.layers {
            let layer = "encoder.layer.\(index)"
            layers.append(
                Layer(
                    query: try linear("\(layer).attention.self.query", from: hidden, to: hidden),
                    key: try linear("\(layer).attention.self.key", from: hidden, to: hidden),
                    value: try linear("\(layer).attention.self.value", from: hidden, to: hidden),
                    attentionOutput: try linear("\(layer).attention.output.dense", from: hidden, to: hidden),
                    attentionNorm: try norm("\(layer).attention.output.LayerNorm"),
                    up: try linear("\(layer).intermediate.dense", from: hidden, to: intermediate),
                    down: try linear("\(layer).output.dense", from: intermediate, to: hidden),
                    outputNorm: try norm("\(layer).output.LayerNorm")))
        }
        self.layers = layers
        heads = config.heads
    }

    /// The classification tokens' hidden states, [sequences, hidden]. `positionIDs` has one entry a token; all tokens
    /// have type 0.
    package func callAsFunction(
        _ batch: TokenBatch, positionIDs: [Int], scratch: borrowing EncoderScratch, _ ops: Ops
    ) -> Matrix {
        let tokens = batch.ids.count
        var x = scratch.x.prefix(tokens)
        ops.embed(
            [(words, batch.ids), (types, Array(repeating: 0, count: tokens)), (positions, positionIDs)], into: x)
        ops.layerNorm(x, embeddingNorm, into: x)

        var queries = batch.sequences
        for (index, layer) in layers.enumerated() {
            let keys = scratch.keys.prefix(tokens)
            let values = scratch.values.prefix(tokens)
            ops.linear(x, layer.key, into: keys)
            ops.linear(x, layer.value, into: values)
            if index == layers.count - 1 {
                let first = scratch.first.prefix(batch.sequences.count)
                ops.gather(x, rows: batch.sequences.map(\.lowerBound), into: first)
                x = first
                queries = batch.sequences.indices.map { $0..<$0 + 1 }
            }
            let attended = scratch.attended.prefix(x.rows)
            let projected = scratch.projected.prefix(x.rows)
            let wide = scratch.wide.prefix(x.rows)
            ops.linear(x, layer.query, into: attended)
            ops.attention(
                q: attended, k: keys, v: values, heads: heads, queries: queries, keys: batch.sequences,
                scores: scratch.scores, into: attended)
            ops.linear(attended, layer.attentionOutput, into: projected)
            ops.layerNorm(projected, plus: x, layer.attentionNorm, into: x)

            ops.linear(x, layer.up, into: wide)
            ops.gelu(wide)
            ops.linear(wide, layer.down, into: projected)
            ops.layerNorm(projected, plus: x, layer.outputNorm, into: x)
        }
        return x
    }
}

/// Every buffer of the encoder's forward pass, with its shape.
package struct EncoderScratch: ~Copyable {
    let x: Matrix  // [tokens, hidden]
    let keys: Matrix  // [tokens, hidden]
    let values: Matrix  // [tokens, hidden]
    let attended: Matrix  // [tokens, hidden]: the queries, then what they gathered
    let projected: Matrix  // [tokens, hidden]
    let wide: Matrix  // [tokens, intermediate]
    let scores: Matrix  // [1, longest sequence]
    let first: Matrix  // [sequences, hidden]
    let pooled: Matrix  // [sequences, hidden]
    let logits: Matrix  // [sequences, labels]
    /// Most tokens, and so most sequences, of one batch.
    package let tokens: Int
    private let memory: Scratch

    package init(_ config: ModelConfig, tokens: Int) {
        var memory = Scratch()
        let hidden = config.hidden.value
        x = memory.matrix(tokens, hidden)
        keys = memory.matrix(tokens, hidden)
        values = memory.matrix(tokens, hidden)
        attended = memory.matrix(tokens, hidden)
        projected = memory.matrix(tokens, hidden)
        wide = memory.matrix(tokens, config.intermediate.value)
        scores = memory.matrix(1, config.maximumTokens)
        first = memory.matrix(tokens, hidden)
        pooled = memory.matrix(tokens, hidden)
        logits = memory.matrix(tokens, config.labels.count)
        self.tokens = tokens
        self.memory = memory
    }
}

extension WeightReader {
    package mutating func linear(_ name: String, from inputs: Extent, to outputs: Extent) throws(InputError) -> Linear {
        Linear(weight: try matrix("\(name).weight", outputs, inputs), bias: try vector("\(name).bias", outputs))
    }
}
