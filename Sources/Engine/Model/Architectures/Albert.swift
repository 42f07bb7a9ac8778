/// ALBERT (Lan et al. 2020): a few layers that are gone through many times, behind narrower embeddings; BERT's pooler and
/// projection, on `[CLS]`.
package struct AlbertForSequenceClassification: EncoderClassifier {
    let encoder: Encoder
    let head: ClassificationHead

    package static let prefix = "albert"

    package static func sizes(_ settings: ConfigSettings) throws(InputError) -> ModelConfig.Sizes {
        try .init(settings, .albert)
    }

    package init(_ config: ModelConfig, _ weights: inout WeightReader) throws(InputError) {
        let settings = config.settings
        let width = try settings.size("embedding_size", default: 128, maximum: ModelConfig.maximumWidth)
        let groups = try settings.integer("num_hidden_groups", in: 1...config.layers) ?? 1
        let inner = try settings.integer("inner_group_num", in: 1...ModelConfig.maximumLayers) ?? 1
        let embeddings = try Embeddings(
            config, &weights, name: "albert.embeddings", width: width,
            projection: "albert.encoder.embedding_hidden_mapping_in")

        func names(_ group: Int, _ index: Int) -> Encoder.LayerNames {
            let layer = "albert.encoder.albert_layer_groups.\(group).albert_layers.\(index)"
            return Encoder.LayerNames(
                query: "\(layer).attention.query", key: "\(layer).attention.key", value: "\(layer).attention.value",
                attentionOutput: "\(layer).attention.dense", attentionNorm: "\(layer).attention.LayerNorm",
                up: "\(layer).ffn", down: "\(layer).ffn_output", outputNorm: "\(layer).full_layer_layer_norm")
        }
        var stored: [[Encoder.Layer]] = []
        for group in 0..<groups {
            var layers: [Encoder.Layer] = []
            for index in 0..<inner {
                layers.append(try Encoder.Layer(config, &weights, names(group, index), isLast: false))
            }
            stored.append(layers)
        }
        // Each pass through a group is through all of its layers. The very last has its queries apart.
        var layers = (0..<config.layers).flatMap { stored[$0 * groups / config.layers] }
        layers[layers.count - 1] = try Encoder.Layer(config, &weights, names(groups - 1, inner - 1), isLast: true)
        encoder = Encoder(config, embeddings, layers)
        head = try ClassificationHead(config, &weights, dense: "albert.pooler", .tanh, projection: "classifier")
    }

    package static func positions(_ config: ModelConfig) -> TokenBatch.Positions { .fromZero }
}
