/// RoBERTa (Liu et al. 2019) with Hugging Face's classification head: dense, tanh, projection, on `<s>`. XLM-RoBERTa (Conneau
/// et al. 2020) and CamemBERT (Martin et al. 2020) are the same network over other vocabularies.
package struct RobertaForSequenceClassification: EncoderClassifier {
    let encoder: Encoder
    let head: ClassificationHead

    package static let prefix = "roberta"

    package static func sizes(_ settings: ConfigSettings) throws(InputError) -> ModelConfig.Sizes {
        let isRoberta = try ModelConfig.Architecture(settings.json) == .roberta
        return try .init(settings, isRoberta ? .roberta : .xlmRoberta)
    }

    package init(_ config: ModelConfig, _ weights: inout WeightReader) throws(InputError) {
        let embeddings = try Embeddings(config, &weights, name: "roberta.embeddings")
        encoder = try Encoder(config, &weights, embeddings) { .bert("roberta.encoder.layer.\($0)") }
        head = try ClassificationHead(
            config, &weights, dense: "classifier.dense", .tanh, projection: "classifier.out_proj")
    }

    package static func ignores(_ tensor: String) -> Bool { tensor.hasPrefix("roberta.pooler.") }

    package static func positions(_ config: ModelConfig) -> TokenBatch.Positions { .afterPadding(padID: config.sizes.padID) }
}
