/// MPNet (Song et al. 2020): BERT's layers without token types, with T5's bias of the scores by distance, one for all layers;
/// RoBERTa's positions and head.
package struct MPNetForSequenceClassification: EncoderClassifier {
    let encoder: Encoder
    let head: ClassificationHead

    package static let prefix = "mpnet"

    package static func sizes(_ settings: ConfigSettings) throws(InputError) -> ModelConfig.Sizes {
        try .init(settings, .mpnet)
    }

    /// Of so many buckets (T5's, Raffel et al. 2020), whatever config.json says: half of them for each direction; of these half
    /// for one distance each, the others ever wider up to 128. Here is where each of these begins.
    private static let buckets = 32
    private static let wideBuckets = [8, 12, 16, 23, 32, 46, 64, 91]

    package init(_ config: ModelConfig, _ weights: inout WeightReader) throws(InputError) {
        let embeddings = try Embeddings(config, &weights, name: "mpnet.embeddings")
        let rows = try config.settings.size(
            "relative_attention_num_buckets", default: Self.buckets, maximum: ModelConfig.maximumWidth, minimum: Self.buckets
        )
        let heads = config.sizes.heads
        let byBucket = try weights.values("mpnet.encoder.relative_attention_bias.weight", rows, heads)
        let bias = try DistanceBias(rows: config.heads, tokens: config.maximumTokens, in: weights.arena) { head, distance in
            byBucket[Self.bucket(distance) * heads.value + head]
        }
        encoder = try Encoder(config, &weights, embeddings, bias: bias) { index in
            let layer = "mpnet.encoder.layer.\(index)"
            let attention = "\(layer).attention.attn"
            return Encoder.LayerNames(
                query: "\(attention).q", key: "\(attention).k", value: "\(attention).v", attentionOutput: "\(attention).o",
                attentionNorm: "\(layer).attention.LayerNorm", up: "\(layer).intermediate.dense",
                down: "\(layer).output.dense", outputNorm: "\(layer).output.LayerNorm")
        }
        head = try ClassificationHead(
            config, &weights, dense: "classifier.dense", .tanh, projection: "classifier.out_proj")
    }

    /// The bucket of a key's distance from its query.
    private static func bucket(_ distance: Int) -> Int {
        let magnitude = abs(distance)
        let bucket = magnitude < wideBuckets[0] ? magnitude : wideBuckets[0] - 1 + wideBuckets.count { $0 <= magnitude }
        return bucket + (distance > 0 ? buckets / 2 : 0)
    }

    package static func ignores(_ tensor: String) -> Bool { tensor.hasPrefix("mpnet.pooler.") }

    package static func positions(_ config: ModelConfig) -> TokenBatch.Positions { .afterPadding(padID: 1) }
}
