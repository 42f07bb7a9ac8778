/// The layers of BERT (Devlin et al. 2018) and of what is built like it: attention, then two products, each added to its input
/// and normalized behind it.
///
/// Over token-packed batches. The last layer is computed for the classification token alone, past the keys and values that it
/// attends to: nothing else of it is ever read.
package struct Encoder: Sendable {
    /// A layer's tensors, without `.weight` and `.bias`.
    package struct LayerNames {
        let query, key, value: String
        let attentionOutput, attentionNorm: String
        let up, down, outputNorm: String
    }

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

        init(
            _ config: ModelConfig, _ weights: inout WeightReader, _ names: LayerNames, isLast: Bool
        ) throws(InputError) {
            let (hidden, intermediate, epsilon) = (config.hidden, config.intermediate, config.sizes.layerNormEpsilon)
            projection =
                isLast
                ? .classificationToken(
                    query: try weights.linear(names.query, from: hidden, to: hidden),
                    keyValue: try weights.linear([names.key, names.value], from: hidden, to: hidden))
                : .all(try weights.linear([names.query, names.key, names.value], from: hidden, to: hidden))
            attentionOutput = try weights.linear(names.attentionOutput, from: hidden, to: hidden)
            attentionNorm = try weights.layerNorm(names.attentionNorm, hidden, epsilon: epsilon)
            up = try weights.linear(names.up, from: hidden, to: intermediate)
            down = try weights.linear(names.down, from: intermediate, to: hidden)
            outputNorm = try weights.layerNorm(names.outputNorm, hidden, epsilon: epsilon)
            weights.meanMayMove(from: names.attentionNorm, into: [names.up], addedTo: names.down)
        }
    }

    let embeddings: Embeddings
    let layers: [Layer]
    let heads: Int
    let activation: Activation
    /// What is added to every layer's attention scores.
    let bias: DistanceBias?

    /// One layer's names each, in their order.
    init(
        _ config: ModelConfig, _ weights: inout WeightReader, _ embeddings: Embeddings, bias: DistanceBias? = nil,
        layers names: (Int) -> LayerNames
    ) throws(InputError) {
        var layers: [Layer] = []
        var normBefore = embeddings.outputNorm
        for index in 0..<config.layers {
            let names = names(index)
            layers.append(try Layer(config, &weights, names, isLast: index == config.layers - 1))
            if let norm = normBefore {
                weights.meanMayMove(
                    from: norm, into: [names.query, names.key, names.value], addedTo: names.attentionOutput)
            }
            normBefore = names.outputNorm
        }
        self.init(config, embeddings, layers, bias: bias)
    }

    init(_ config: ModelConfig, _ embeddings: Embeddings, _ layers: [Layer], bias: DistanceBias? = nil) {
        self.embeddings = embeddings
        self.layers = layers
        self.bias = bias
        heads = config.heads
        activation = config.sizes.activation
    }

    package func makeScratch(_ space: ScratchSpace) throws(InputError) -> EncoderScratch {
        try EncoderScratch(space, narrow: try embeddings.makeScratch(space))
    }

    /// The classification tokens' hidden states, [sequences, hidden].
    package func callAsFunction(_ batch: TokenBatch, scratch: EncoderScratch, _ ops: Ops) -> Activations {
        let x = scratch.x.prefix(batch.ids.count)
        embeddings(batch, scratch: scratch.narrow, into: x, ops)
        return Self.run(layers, x, activation, batch, scratch, ops) { _, inputs, attended in
            ops.attention(
                inputs, batch.sequences, heads: heads, bias: bias, scratch: scratch.attention, into: attended)
        }
    }

    /// From the embedded tokens x, [tokens, hidden], through the layers, the last of which is for classification tokens alone.
    ///
    /// - Parameter attention: of the layer with that number; writes its last argument.
    static func run(
        _ layers: [Layer], _ x: Activations, _ activation: Activation, _ batch: TokenBatch, _ scratch: EncoderScratch,
        _ ops: Ops, attention: (Int, Ops.AttentionInputs, Activations) -> Void
    ) -> Activations {
        let qkv = scratch.queryKeyValue.prefix(x.rows)
        let hidden = qkv.columns / 3
        let (query, key, value) = (0..<hidden, hidden..<2 * hidden, 2 * hidden..<3 * hidden)
        var x = x
        var firstTokens = Ops.FirstTokens.first(batch.sequences)
        for (index, layer) in layers.enumerated() {
            var queries = Ops.Queries.all
            var q = qkv.columns(query)
            switch layer.projection {
            case .all(let queryKeyValue): ops.linear(x, queryKeyValue, firstTokens: firstTokens, into: qkv)
            case .classificationToken(let query, let keyValue):
                ops.linear(
                    x, keyValue, firstTokens: firstTokens, into: qkv.columns(key.lowerBound..<value.upperBound))
                let first = scratch.first.prefix(batch.sequences.count)
                ops.gatherFirst(x.values, of: batch.sequences, into: first)
                (x, queries, q) = (first, .first, scratch.firstQueries.prefix(first.rows))
                firstTokens = .all
                ops.linear(x, query, firstTokens: firstTokens, into: q)
            }
            let attended = scratch.attended.prefix(x.rows)
            let projected = scratch.projected.prefix(x.rows)
            let wide = scratch.wide.prefix(x.rows)
            let inputs = Ops.AttentionInputs(q: q, queries: queries, k: qkv.columns(key), v: qkv.columns(value))
            attention(index, inputs, attended)
            ops.linear(attended, layer.attentionOutput, plus: x.values, firstTokens: firstTokens, into: projected)
            ops.layerNorm(projected, layer.attentionNorm, into: x)

            ops.linear(x, layer.up, activation, firstTokens: firstTokens, into: wide)
            ops.linear(wide, layer.down, plus: x.values, firstTokens: firstTokens, into: projected)
            ops.layerNorm(projected, layer.outputNorm, into: x)
        }
        return x
    }
}

/// The encoder's buffers, with their shapes, and the head's.
package struct EncoderScratch {
    let narrow: Activations?  // [tokens, the embeddings' width], where they are projected
    let x: Activations  // [tokens, hidden]
    let queryKeyValue: Matrix  // [tokens, 3 · hidden]
    let attended: Activations  // [tokens, hidden]
    let projected: Matrix  // [tokens, hidden]
    let wide: Activations  // [tokens, intermediate]
    let attention: Matrix  // [threads, one head of the longest sequence]
    let first: Activations  // [sequences, hidden]
    let firstQueries: Matrix  // [sequences, hidden]
    let pooled: Activations  // [sequences, hidden], never quantized: the projection onto the labels is f32

    init(_ space: ScratchSpace, narrow: Activations?) throws(InputError) {
        let hidden = space.config.hidden.value
        self.narrow = narrow
        x = try space.activations(hidden)
        queryKeyValue = try space.matrix(3 * hidden)
        attended = try space.activations(hidden)
        projected = try space.matrix(hidden)
        wide = try space.activations(space.config.intermediate.value)
        attention = try space.attention()
        first = try space.activations(hidden)
        firstQueries = try space.matrix(hidden)
        pooled = try Activations(space.arena, space.tokens, hidden, .f32)
    }
}
