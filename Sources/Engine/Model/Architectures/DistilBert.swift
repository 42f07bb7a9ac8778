/// DistilBERT (Sanh et al. 2019): BERT's layers without token types and pooler; dense, ReLU, projection, on `[CLS]`.
package struct DistilBertForSequenceClassification: EncoderClassifier {
    let encoder: Encoder
    let head: ClassificationHead

    package static let prefix = "distilbert"

    package static func sizes(_ settings: ConfigSettings) throws(InputError) -> ModelConfig.Sizes {
        try .init(settings, .distilBert)
    }

    package init(_ config: ModelConfig, _ weights: inout WeightReader) throws(InputError) {
        // `sinusoidal_pos_embds` is how the positions were made; they are stored in any case.
        let embeddings = try Embeddings(config, &weights, name: "distilbert.embeddings")
        encoder = try Encoder(config, &weights, embeddings) { index in
            let layer = "distilbert.transformer.layer.\(index)"
            return Encoder.LayerNames(
                query: "\(layer).attention.q_lin", key: "\(layer).attention.k_lin", value: "\(layer).attention.v_lin",
                attentionOutput: "\(layer).attention.out_lin", attentionNorm: "\(layer).sa_layer_norm",
                up: "\(layer).ffn.lin1", down: "\(layer).ffn.lin2", outputNorm: "\(layer).output_layer_norm")
        }
        head = try ClassificationHead(config, &weights, dense: "pre_classifier", .relu, projection: "classifier")
    }

    package static func positions(_ config: ModelConfig) -> TokenBatch.Positions { .fromZero }
}
