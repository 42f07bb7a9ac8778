/// DeBERTa (He et al. 2021) in its second and third version: BERT's layers, with attention by content and by distance. Dense, an
/// activation, projection, on `[CLS]`.
package struct DebertaV2ForSequenceClassification: SequenceClassifier {
    private let words: EmbeddingTable
    private let places: PositionTable?
    private let projection: Linear?
    private let embeddingNorm: LayerNorm
    private let layers: [Encoder.Layer]
    /// What the distances become in each layer.
    private let relative: [(keys: RelativeProjection?, queries: RelativeProjection?)]
    /// nil for attention by content alone.
    private let distances: RelativeDistances?
    private let scale: Float
    private let heads: Int
    private let activation: Activation
    private let head: ClassificationHead

    package static let prefix = "deberta"

    package static func sizes(_ settings: ConfigSettings) throws(InputError) -> ModelConfig.Sizes {
        try .init(
            settings,
            SizeDefaults(
                hidden: ("hidden_size", 1536), intermediate: ("intermediate_size", 6144), layers: ("num_hidden_layers", 24),
                heads: ("num_attention_heads", 24), vocabulary: 128_100, epsilon: ("layer_norm_eps", 1e-7), types: 0))
    }

    package init(_ config: ModelConfig, _ weights: inout WeightReader) throws(InputError) {
        let (settings, hidden, epsilon) = (config.settings, config.hidden, config.sizes.layerNormEpsilon)
        if let kernel = try settings.integer("conv_kernel_size", in: 0...ModelConfig.maximumWidth), kernel > 0 {
            throw InputError("config.json", "conv_kernel_size \(kernel) is not supported; supported: 0, no convolution")
        }
        let name = "deberta.embeddings"
        let width = try settings.size("embedding_size", default: hidden.value, maximum: ModelConfig.maximumWidth)
        words = try weights.table("\(name).word_embeddings.weight", config.vocabulary, width)
        let positions =
            try settings.flag("position_biased_input", default: true)
            ? try weights.table("\(name).position_embeddings.weight", config.positions, width) : nil
        let typeTable = try config.sizes.types.flatMap { types throws(InputError) in
            types.value > 0 ? try weights.table("\(name).token_type_embeddings.weight", types, width, isExact: true) : nil
        }
        places =
            positions == nil && typeTable == nil
            ? nil
            : try PositionTable(
                positions, types: typeTable, count: config.positions.value, columns: width.value, in: weights.arena)
        projection =
            width.value == hidden.value
            ? nil : try weights.linear("\(name).embed_proj", from: width, to: hidden, hasBias: false)
        embeddingNorm = try weights.layerNorm("\(name).LayerNorm", hidden, epsilon: epsilon)

        let attention = try RelativeAttention(config, &weights)
        distances = attention?.distances
        var layers: [Encoder.Layer] = []
        var relative: [(keys: RelativeProjection?, queries: RelativeProjection?)] = []
        for index in 0..<config.layers {
            let layer = "deberta.encoder.layer.\(index)"
            let names = Encoder.LayerNames(
                query: "\(layer).attention.self.query_proj", key: "\(layer).attention.self.key_proj",
                value: "\(layer).attention.self.value_proj", attentionOutput: "\(layer).attention.output.dense",
                attentionNorm: "\(layer).attention.output.LayerNorm", up: "\(layer).intermediate.dense",
                down: "\(layer).output.dense", outputNorm: "\(layer).output.LayerNorm")
            let isLast = index == config.layers - 1
            layers.append(try Encoder.Layer(config, &weights, names, isLast: isLast))
            if let attention {
                relative.append(try attention.projections(config, &weights, "\(layer).attention.self", of: layers[index]))
            }
        }
        self.layers = layers
        self.relative = relative
        scale = 1 / Float(hidden.value / config.heads * (1 + (try RelativeAttention.kinds(settings)).count)).squareRoot()
        heads = config.heads
        activation = config.sizes.activation
        head = try ClassificationHead(
            config, &weights, dense: "pooler.dense",
            try settings.activation("pooler_hidden_act", default: "gelu"), projection: "classifier")
    }

    package static func positions(_ config: ModelConfig) -> TokenBatch.Positions { .fromZero }

    package struct Scratch {
        let embedded: Activations?  // [tokens, the embeddings' width], where they are projected
        let encoder: EncoderScratch
        let relative: Matrix?  // [threads, one head of the longest sequence]
    }

    package func makeScratch(_ space: ScratchSpace) throws(InputError) -> Scratch {
        Scratch(
            embedded: projection == nil ? nil : try space.activations(words.columns),
            encoder: try EncoderScratch(space, narrow: nil),
            relative: try distances.map { distances throws(InputError) in
                try Matrix(space.arena, space.threads, distances.scratch)
            })
    }

    package func forward(_ batch: TokenBatch, scratch: Scratch, into logits: Matrix, _ ops: Ops) {
        let tokens = batch.ids.count
        let buffers = scratch.encoder
        let x = buffers.x.prefix(tokens)
        if let projection, let embedded = scratch.embedded?.prefix(tokens) {
            let projected = buffers.projected.prefix(tokens)
            ops.embed(words, batch.ids, places, batch.positionIDs, nil, into: embedded)
            ops.linear(embedded, projection, into: projected)
            ops.layerNorm(projected, embeddingNorm, into: x)
        } else {
            ops.embed(words, batch.ids, places, batch.positionIDs, embeddingNorm, into: x)
        }
        let first = Encoder.run(layers, x, activation, batch, buffers, ops) { index, inputs, attended in
            guard let distances, let relativeScratch = scratch.relative else {
                return ops.attention(
                    inputs, batch.sequences, heads: heads, scale: scale, scratch: buffers.attention, into: attended)
            }
            ops.disentangledAttention(
                inputs, batch.sequences, heads: heads, scale: scale, distances, keys: relative[index].keys,
                queries: relative[index].queries, scratch: buffers.attention, relativeScratch: relativeScratch,
                into: attended)
        }
        head(first, pooled: buffers.pooled, into: logits, ops)
    }

    package func headInput(_ scratch: Scratch) -> Matrix { scratch.encoder.first.values }
}

/// Attention by distance: the distances' rows and what they become in each layer.
private struct RelativeAttention {
    let distances: RelativeDistances
    private let rows: Activations  // [rows, hidden], normalized
    private let kinds: Set<String>
    private let sharesProjections: Bool

    /// nil where config.json turns it off.
    init?(_ config: ModelConfig, _ weights: inout WeightReader) throws(InputError) {
        let settings = config.settings
        kinds = try Self.kinds(settings)
        guard try settings.flag("relative_attention", default: false) else { return nil }
        let buckets = try settings.integer("position_buckets", in: -1...ModelConfig.maximumPositions) ?? -1
        let given = try settings.integer("max_relative_positions", in: -1...ModelConfig.maximumPositions) ?? -1
        let longest = given < 1 ? config.positions.value : given
        guard buckets < 1 || (buckets > 1 && buckets / 2 < longest - 1) else {
            throw InputError(
                "config.json", "position_buckets \(buckets) must be from 2 to twice the \(longest) relative positions, or -1"
            )
        }
        let span = buckets > 0 ? buckets : longest
        let setting = buckets > 0 ? "2 · position_buckets" : "2 · max_relative_positions"
        let table = try weights.values(
            "deberta.encoder.rel_embeddings.weight", Extent(2 * span, setting), config.hidden)
        distances = try RelativeDistances(rows: 2 * span, tokens: config.positions.value, in: weights.arena) { distance in
            let bucket = buckets > 0 ? Self.bucket(distance, buckets, longest) : distance
            return min(max(bucket + span, 0), 2 * span - 1)
        }
        sharesProjections = try settings.flag("share_att_key", default: false)
        let norms = try settings.names("norm_rel_ebd")
        guard norms.allSatisfy(["none", "layer_norm"].contains) else {
            throw InputError(
                "config.json", "norm_rel_ebd \(norms.joined(separator: "|")) is not supported; supported: layer_norm, none")
        }
        let norm =
            norms.contains("layer_norm")
            ? try weights.layerNorm(
                "deberta.encoder.LayerNorm", config.hidden, epsilon: config.sizes.layerNormEpsilon) : nil
        let raw = try Matrix(weights.arena, 2 * span, config.hidden.value)
        for (index, value) in table.enumerated() { raw.base[index] = value }
        let rows = try Activations(weights.arena, raw.rows, raw.columns, weights.precision)
        try weights.prepare { ops in
            if let norm {
                ops.layerNorm(raw, norm, into: rows)
            } else {
                ops.gatherFirst(raw, of: (0..<raw.rows).map { $0..<$0 + 1 }, into: rows)
            }
        }
        self.rows = rows
    }

    /// The distances' keys and queries in a layer, by its own projections or by the content's.
    func projections(
        _ config: ModelConfig, _ weights: inout WeightReader, _ name: String, of layer: Encoder.Layer
    ) throws(InputError) -> (keys: RelativeProjection?, queries: RelativeProjection?) {
        typealias Source = (layer: Linear, columns: Range<Int>)
        let hidden = config.hidden.value
        let (query, key): (Source?, Source?)
        if !sharesProjections {
            func own(_ kind: String, _ part: String, _ weights: inout WeightReader) throws(InputError) -> Source? {
                guard kinds.contains(kind) else { return nil }
                return (try weights.linear("\(name).\(part)", from: config.hidden, to: config.hidden), 0..<hidden)
            }
            query = try own("p2c", "pos_query_proj", &weights)
            key = try own("c2p", "pos_key_proj", &weights)
        } else {
            switch layer.projection {
            case .all(let all): (query, key) = ((all, 0..<hidden), (all, hidden..<2 * hidden))
            case .classificationToken(let queries, let keyValue):
                (query, key) = ((queries, 0..<hidden), (keyValue, 0..<hidden))
            }
        }
        let (scratch, rows, prepared) = (Arena(), rows, weights)
        func packed(_ source: Source?) throws(InputError) -> RelativeProjection? {
            guard let (layer, columns) = source else { return nil }
            let projected = try Matrix(scratch, rows.rows, layer.outputs)
            try prepared.prepare { ops in ops.linear(rows, layer, into: projected) }
            return try RelativeProjection(projected.columns(columns), heads: config.heads, in: prepared.arena)
        }
        return (
            keys: kinds.contains("c2p") ? try packed(key) : nil, queries: kinds.contains("p2c") ? try packed(query) : nil
        )
    }

    /// `pos_att_type`: of `c2p` and `p2c`, as a list or, in older files, as `c2p|p2c`.
    static func kinds(_ settings: ConfigSettings) throws(InputError) -> Set<String> {
        let kinds = try settings.names("pos_att_type")
        guard kinds.allSatisfy(["c2p", "p2c"].contains) else {
            throw InputError(
                "config.json", "pos_att_type \(kinds.joined(separator: ", ")) is not supported; supported: c2p, p2c")
        }
        return Set(kinds)
    }

    /// Distances up to half the buckets have one each, those beyond ever wider ones, in Transformers' f32 arithmetic.
    private static func bucket(_ distance: Int, _ buckets: Int, _ longest: Int) -> Int {
        let (middle, magnitude) = (buckets / 2, abs(distance))
        guard magnitude > middle else { return distance }
        func log(_ x: Float) -> Float { Float(ReproducibleMath.log(Double(x))) }
        let steps = log(Float(magnitude) / Float(middle)) / log(Float(longest - 1) / Float(middle)) * Float(middle - 1)
        return (Int(steps.rounded(.up)) + middle) * distance.signum()
    }
}
