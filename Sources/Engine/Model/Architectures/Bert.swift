/// BERT (Devlin et al. 2018) with its pooler (dense, tanh) and a projection, on `[CLS]`.
package struct BertForSequenceClassification: EncoderClassifier {
    let encoder: Encoder
    let head: ClassificationHead

    package static let prefix = "bert"

    package static func sizes(_ settings: ConfigSettings) throws(InputError) -> ModelConfig.Sizes {
        try .init(settings, .bert)
    }

    package init(_ config: ModelConfig, _ weights: inout WeightReader) throws(InputError) {
        let embeddings = try Embeddings(config, &weights, name: "bert.embeddings")
        encoder = try Encoder(config, &weights, embeddings) { .bert("bert.encoder.layer.\($0)") }
        head = try ClassificationHead(config, &weights, dense: "bert.pooler.dense", .tanh, projection: "classifier")
    }

    package static func positions(_ config: ModelConfig) -> TokenBatch.Positions { .fromZero }
}
