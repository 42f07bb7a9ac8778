/// ModernBERT (Warner et al. 2024): norms before attention and product, rotary positions, gated units, and attention to all tokens
/// in some layers and to near ones in the others. The head (dense, activation, norm, projection) reads `[CLS]` or the tokens'
/// mean.
package struct ModernBertForSequenceClassification: SequenceClassifier {
    private struct Layer: Sendable {
        /// The attention's inputs: [query; key; value] in one product, or where only `[CLS]` goes on the queries apart.
        enum Projection: Sendable {
            case all(Linear)
            case classificationToken(query: Linear, keyValue: Linear)
        }

        /// nil where the embeddings are normalized already.
        let attentionNorm: LayerNorm?
        let projection: Projection
        let attentionOutput: Linear
        let isSliding: Bool
        let gateNorm: LayerNorm
        let up, down: Linear
    }

    private let words: EmbeddingTable
    private let embeddingNorm: LayerNorm
    private let layers: [Layer]
    private let finalNorm: LayerNorm
    private let (allAngles, nearAngles): (RotaryAngles, RotaryAngles)
    private let window: DistanceBias
    private let heads: Int
    private let activation: Activation
    private let readsMean: Bool
    private let dense, classifier: Linear
    private let headActivation: Activation
    private let headNorm: LayerNorm

    package static let prefix = "model"

    package static func sizes(_ settings: ConfigSettings) throws(InputError) -> ModelConfig.Sizes {
        try .init(
            settings,
            SizeDefaults(
                intermediate: ("intermediate_size", 1152), layers: ("num_hidden_layers", 22), vocabulary: 50_368,
                positions: 8192, activation: ("hidden_activation", "gelu"), epsilon: ("norm_eps", 1e-5), padID: 50_283,
                types: nil))
    }

    package init(_ config: ModelConfig, _ weights: inout WeightReader) throws(InputError) {
        let (settings, hidden, arena) = (config.settings, config.hidden, weights.arena)
        let norms = try settings.flag("norm_bias", default: false)
        func norm(_ name: String, _ weights: inout WeightReader) throws(InputError) -> LayerNorm {
            try weights.layerNorm(name, hidden, epsilon: config.sizes.layerNormEpsilon, hasBias: norms)
        }
        words = try weights.table("model.embeddings.tok_embeddings.weight", config.vocabulary, hidden)
        embeddingNorm = try norm("model.embeddings.norm", &weights)
        readsMean = try settings.text("classifier_pooling", oneOf: ["cls", "mean"], default: "cls") == "mean"

        let attentionBias = try settings.flag("attention_bias", default: false)
        let mlpBias = try settings.flag("mlp_bias", default: false)
        let isSliding = try Self.slidingLayers(config)
        let three = Extent(3 * hidden.value, hidden.setting)
        let twice = Extent(2 * config.intermediate.value, config.intermediate.setting)
        var layers: [Layer] = []
        for index in 0..<config.layers {
            let name = "model.layers.\(index)"
            func product(
                _ part: String, _ inputs: Extent, _ outputs: Extent, _ hasBias: Bool, _ weights: inout WeightReader
            ) throws(InputError) -> Linear {
                try weights.linear("\(name).\(part)", from: inputs, to: outputs, hasBias: hasBias)
            }
            func part(_ rows: Range<Int>, _ weights: inout WeightReader) throws(InputError) -> Linear {
                try weights.linear("\(name).attn.Wqkv", rows: rows, from: hidden, to: three, hasBias: attentionBias)
            }
            let projection: Layer.Projection =
                index == config.layers - 1 && !readsMean
                ? .classificationToken(
                    query: try part(0..<hidden.value, &weights), keyValue: try part(hidden.value..<three.value, &weights))
                : .all(try product("attn.Wqkv", hidden, three, attentionBias, &weights))
            layers.append(
                Layer(
                    attentionNorm: index == 0 ? nil : try norm("\(name).attn_norm", &weights), projection: projection,
                    attentionOutput: try product("attn.Wo", hidden, hidden, attentionBias, &weights),
                    isSliding: isSliding[index], gateNorm: try norm("\(name).mlp_norm", &weights),
                    up: try product("mlp.Wi", hidden, twice, mlpBias, &weights),
                    down: try product("mlp.Wo", config.intermediate, hidden, mlpBias, &weights)))
        }
        self.layers = layers
        finalNorm = try norm("model.final_norm", &weights)

        let headSize = hidden.value / config.heads
        guard headSize.isMultiple(of: 2) else {
            throw InputError(
                "config.json",
                "\(hidden.setting) \(hidden.value) makes heads of \(headSize); rotary positions need an even size")
        }
        let (allBase, nearBase) = try Self.rotaryBases(settings)
        allAngles = try RotaryAngles(base: allBase, positions: config.positions.value, headSize: headSize, in: arena)
        nearAngles = try RotaryAngles(base: nearBase, positions: config.positions.value, headSize: headSize, in: arena)
        let local = try settings.integer("local_attention", in: 1...2 * ModelConfig.maximumPositions) ?? 128
        window = try DistanceBias(window: local / 2, tokens: config.positions.value, in: arena)
        heads = config.heads
        activation = config.sizes.activation

        let headBias = try settings.flag("classifier_bias", default: false)
        dense = try weights.linear("head.dense", from: hidden, to: hidden, hasBias: headBias)
        headActivation = try settings.activation("classifier_activation", default: "gelu")
        headNorm = try norm("head.norm", &weights)
        classifier = try weights.labelProjection("classifier", from: hidden, to: config.labelCount)
    }

    /// Which layers attend to near tokens alone: as `layer_types` lists them, else all but every third, from the first on.
    private static func slidingLayers(_ config: ModelConfig) throws(InputError) -> [Bool] {
        let (all, near) = ("full_attention", "sliding_attention")
        guard let types = try config.settings.strings("layer_types") else {
            let every = try config.settings.integer("global_attn_every_n_layers", in: 1...ModelConfig.maximumLayers) ?? 3
            return (0..<config.layers).map { !$0.isMultiple(of: every) }
        }
        guard types.count == config.layers, types.allSatisfy([all, near].contains) else {
            throw InputError(
                "config.json", "layer_types must name \(all) or \(near) for each of the \(config.layers) layers")
        }
        return types.map { $0 == near }
    }

    /// Of the layers that attend to all tokens, and of the others: in `rope_parameters`, or as older files have them.
    private static func rotaryBases(_ settings: ConfigSettings) throws(InputError) -> (all: Double, near: Double) {
        guard !settings.has("rope_scaling") else {
            throw InputError("config.json", "rope_scaling is not supported; supported are rotary positions as they are")
        }
        let sections = try settings.section("rope_parameters")
        func base(_ kind: String, _ older: String, _ standard: Double) throws(InputError) -> Double {
            guard let section = try sections?.section(kind) else { return try settings.positive(older, default: standard) }
            guard try section.text("rope_type", oneOf: ["default"], default: "default") == "default" else { return standard }
            return try section.positive("rope_theta", default: try settings.positive(older, default: standard))
        }
        return (
            try base("full_attention", "global_rope_theta", 160_000),
            try base("sliding_attention", "local_rope_theta", 10_000)
        )
    }

    package static func positions(_ config: ModelConfig) -> TokenBatch.Positions { .fromZero }

    /// Every buffer of the forward pass, with its shape.
    package struct Scratch {
        let normed: Activations  // [tokens, hidden]
        let x, y: Matrix  // [tokens, hidden]
        let queryKeyValue: Matrix  // [tokens, 3 · hidden]
        let attended: Activations  // [tokens, hidden]
        let wide: Matrix  // [tokens, 2 · intermediate]
        let gated: Activations  // [tokens, intermediate]
        let attention: Matrix  // [threads, one head of the longest sequence]
        let first: Activations  // [sequences, hidden]
        let firstQueries: Matrix  // [sequences, hidden]
        let firstResidual: Matrix  // [sequences, hidden]
        let pooled: Activations  // [sequences, hidden]
        let dense: Matrix  // [sequences, hidden]
        let classified: Activations  // [sequences, hidden], f32
    }

    package func makeScratch(_ space: ScratchSpace) throws(InputError) -> Scratch {
        let (hidden, intermediate) = (space.config.hidden.value, space.config.intermediate.value)
        return Scratch(
            normed: try space.activations(hidden), x: try space.matrix(hidden), y: try space.matrix(hidden),
            queryKeyValue: try space.matrix(3 * hidden), attended: try space.activations(hidden),
            wide: try space.matrix(2 * intermediate), gated: try space.activations(intermediate),
            attention: try space.attention(), first: try space.activations(hidden),
            firstQueries: try space.matrix(hidden), firstResidual: try space.matrix(hidden),
            pooled: try space.activations(hidden),
            dense: try space.matrix(hidden), classified: try Activations(space.arena, space.tokens, hidden, .f32))
    }

    package func forward(_ batch: TokenBatch, scratch: Scratch, into logits: Matrix, _ ops: Ops) {
        let qkv = scratch.queryKeyValue.prefix(batch.ids.count)
        let hidden = qkv.columns / 3
        var normed = scratch.normed.prefix(batch.ids.count)
        ops.embed(words, batch.ids, nil, batch.positionIDs, embeddingNorm, into: normed)
        var residual = normed.values

        for layer in layers {
            if let norm = layer.attentionNorm { ops.layerNorm(residual, norm, into: normed) }
            let angles = layer.isSliding ? nearAngles : allAngles
            var queries = Ops.Queries.all
            var q = qkv.columns(0..<hidden)
            switch layer.projection {
            case .all(let queryKeyValue):
                ops.linear(normed, queryKeyValue, into: qkv)
                ops.rotate(qkv.columns(0..<2 * hidden), by: angles, batch.positionIDs)
            case .classificationToken(let query, let keyValue):
                // `[CLS]` is at position 0, where nothing turns.
                ops.linear(normed, keyValue, into: qkv.columns(hidden..<3 * hidden))
                ops.rotate(qkv.columns(hidden..<2 * hidden), by: angles, batch.positionIDs)
                let first = scratch.first.prefix(batch.sequences.count)
                ops.gatherFirst(normed.values, of: batch.sequences, into: first)
                q = scratch.firstQueries.prefix(first.rows)
                ops.linear(first, query, into: q)
                let firstResidual = scratch.firstResidual.prefix(first.rows)
                ops.gatherFirst(residual, of: batch.sequences, into: firstResidual)
                (queries, residual, normed) = (.first, firstResidual, scratch.normed.prefix(first.rows))
            }
            let rows = residual.rows
            let (x, y) = (scratch.x.prefix(rows), scratch.y.prefix(rows))
            let attended = scratch.attended.prefix(rows)
            ops.attention(
                Ops.AttentionInputs(
                    q: q, queries: queries, k: qkv.columns(hidden..<2 * hidden), v: qkv.columns(2 * hidden..<3 * hidden)),
                batch.sequences, heads: heads, bias: layer.isSliding ? window : nil, scratch: scratch.attention,
                into: attended)
            ops.linear(attended, layer.attentionOutput, plus: residual, into: y)
            ops.layerNorm(y, layer.gateNorm, into: normed)
            ops.linear(normed, layer.up, into: scratch.wide.prefix(rows))
            ops.gate(scratch.wide.prefix(rows), activation, into: scratch.gated.prefix(rows))
            ops.linear(scratch.gated.prefix(rows), layer.down, plus: y, into: x)
            residual = x
        }

        let pooled = scratch.pooled.prefix(batch.sequences.count)
        if readsMean {
            ops.layerNorm(residual, finalNorm, into: normed)
            ops.mean(normed.values, of: batch.sequences, into: pooled)
        } else {
            ops.layerNorm(residual, finalNorm, into: pooled)
        }
        let dense = scratch.dense.prefix(pooled.rows)
        ops.linear(pooled, self.dense, headActivation, into: dense)
        let classified = scratch.classified.prefix(pooled.rows)
        ops.layerNorm(dense, headNorm, into: classified)
        ops.linear(classified, classifier, into: logits)
    }

    package func headInput(_ scratch: Scratch) -> Matrix { scratch.pooled.values }
}
