/// ELECTRA's discriminator (Clark et al. 2020): BERT's layers behind narrower embeddings; dense, GELU, projection, on `[CLS]`.
package struct ElectraForSequenceClassification: EncoderClassifier {
    let encoder: Encoder
    let head: ClassificationHead

    package static let prefix = "electra"

    package static func sizes(_ settings: ConfigSettings) throws(InputError) -> ModelConfig.Sizes {
        try .init(settings, .electra)
    }

    package init(_ config: ModelConfig, _ weights: inout WeightReader) throws(InputError) {
        let width = try config.settings.size("embedding_size", default: 128, maximum: ModelConfig.maximumWidth)
        let isProjected = width.value != config.hidden.value
        let embeddings = try Embeddings(
            config, &weights, name: "electra.embeddings", width: width,
            projection: isProjected ? "electra.embeddings_project" : nil)
        encoder = try Encoder(config, &weights, embeddings) { .bert("electra.encoder.layer.\($0)") }
        // GELU whatever `hidden_act` and `summary_activation` say.
        head = try ClassificationHead(
            config, &weights, dense: "classifier.dense", .gelu, projection: "classifier.out_proj")
    }

    package static func positions(_ config: ModelConfig) -> TokenBatch.Positions { .fromZero }
}
