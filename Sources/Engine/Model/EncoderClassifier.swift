/// A classifier that is BERT's encoder with a head on the first token; what differs is where its tensors are, how its tokens are
/// numbered, and the head's activation.
protocol EncoderClassifier: SequenceClassifier where Scratch == EncoderScratch {
    var encoder: Encoder { get }
    var head: ClassificationHead { get }
}

extension EncoderClassifier {
    package func makeScratch(_ space: ScratchSpace) throws(InputError) -> EncoderScratch {
        try encoder.makeScratch(space)
    }

    package func forward(_ batch: TokenBatch, scratch: EncoderScratch, into logits: Matrix, _ ops: Ops) {
        head(encoder(batch, scratch: scratch, ops), pooled: scratch.pooled, into: logits, ops)
    }

    package func headInput(_ scratch: EncoderScratch) -> Matrix { scratch.first.values }
}

extension Encoder.LayerNames {
    /// As BERT has them, and most that came after it.
    static func bert(_ layer: String) -> Self {
        let attention = "\(layer).attention"
        return .init(
            query: "\(attention).self.query", key: "\(attention).self.key", value: "\(attention).self.value",
            attentionOutput: "\(attention).output.dense", attentionNorm: "\(attention).output.LayerNorm",
            up: "\(layer).intermediate.dense", down: "\(layer).output.dense", outputNorm: "\(layer).output.LayerNorm")
    }
}

/// The sizes' names in config.json and their defaults in Transformers' configuration classes.
struct SizeDefaults {
    var hidden = ("hidden_size", 768)
    var intermediate = ("intermediate_size", 3072)
    var layers = ("num_hidden_layers", 12)
    var heads = ("num_attention_heads", 12)
    /// Other names that a class takes for some of these.
    var aliases: [String: String] = [:]
    var vocabulary = 30_522
    var positions = 512
    var activation = ("hidden_act", "gelu")
    /// The name is nil for a class that does not read one.
    var epsilon: (name: String?, standard: Double) = ("layer_norm_eps", 1e-12)
    var padID = 0
    /// nil for an architecture without token types.
    var types: Int? = 2

    static let bert = SizeDefaults()
    static let roberta = SizeDefaults(vocabulary: 50_265, padID: 1)
    static let xlmRoberta = SizeDefaults(padID: 1)
    static let mpnet = SizeDefaults(vocabulary: 30_527, padID: 1, types: nil)
    static let electra = SizeDefaults(
        hidden: ("hidden_size", 256), intermediate: ("intermediate_size", 1024), heads: ("num_attention_heads", 4))
    static let distilBert = SizeDefaults(
        hidden: ("dim", 768), intermediate: ("hidden_dim", 3072), layers: ("n_layers", 6), heads: ("n_heads", 12),
        aliases: ["dim": "hidden_size", "n_layers": "num_hidden_layers", "n_heads": "num_attention_heads"],
        activation: ("activation", "gelu"), epsilon: (nil, 1e-12), types: nil)
    static let albert = SizeDefaults(
        hidden: ("hidden_size", 4096), intermediate: ("intermediate_size", 16_384), heads: ("num_attention_heads", 64),
        vocabulary: 30_000, activation: ("hidden_act", "gelu_new"))
}

extension ModelConfig.Sizes {
    init(_ settings: ConfigSettings, _ defaults: SizeDefaults) throws(InputError) {
        func size(_ setting: (name: String, standard: Int), maximum: Int) throws(InputError) -> Extent {
            let alias =
                settings.has(setting.name) ? nil : defaults.aliases[setting.name].flatMap { settings.has($0) ? $0 : nil }
            return try settings.size(alias ?? setting.name, default: setting.standard, maximum: maximum)
        }
        layers = try size(defaults.layers, maximum: ModelConfig.maximumLayers).value
        heads = try size(defaults.heads, maximum: ModelConfig.maximumWidth)
        hidden = try size(defaults.hidden, maximum: ModelConfig.maximumWidth)
        intermediate = try size(defaults.intermediate, maximum: 4 * ModelConfig.maximumWidth)
        vocabulary = try size(("vocab_size", defaults.vocabulary), maximum: ModelConfig.maximumVocabulary)
        positions = try size(("max_position_embeddings", defaults.positions), maximum: ModelConfig.maximumPositions)
        layerNormEpsilon =
            if let name = defaults.epsilon.name {
                try settings.epsilon(name, default: defaults.epsilon.standard)
            } else {
                Float(defaults.epsilon.standard)
            }
        activation = try settings.activation(defaults.activation.0, default: defaults.activation.1)
        padID = try settings.integer("pad_token_id", in: 0...vocabulary.value - 1) ?? defaults.padID
        types = try defaults.types.map { types throws(InputError) in
            try settings.size(
                "type_vocab_size", default: types, maximum: ModelConfig.maximumWidth, minimum: min(types, 1))
        }
        // Older BERTs could be trained with relative ones.
        _ = try settings.text("position_embedding_type", oneOf: ["absolute"], default: "absolute")
    }
}
