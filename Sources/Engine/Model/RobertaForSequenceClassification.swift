/// RoBERTa (Liu et al. 2019) with Hugging Face's classification head: dense, tanh, projection, on `<s>`.
package struct RobertaForSequenceClassification: SequenceClassifier {
    let encoder: Encoder
    let head: ClassificationHead

    package init(_ config: ModelConfig, _ weights: inout WeightReader) throws(InputError) {
        encoder = try Encoder(config, &weights, prefix: "roberta")
        head = ClassificationHead(
            dense: try weights.linear("classifier.dense", from: config.hidden, to: config.hidden),
            projection: try weights.labelProjection("classifier.out_proj", from: config.hidden, to: config.labelCount))
    }

    package static func ignores(_ tensor: String) -> Bool {
        tensor.hasPrefix("roberta.pooler.") || tensor.hasSuffix(".position_ids")
    }

    package static var labelProjection: String { "classifier.out_proj.weight" }

    package static func positions(_ config: ModelConfig) -> TokenBatch.Positions { .afterPadding(padID: config.padID) }

    package func forward(_ batch: TokenBatch, scratch: EncoderScratch, _ ops: Ops) {
        head(encoder(batch, scratch: scratch, ops), scratch: scratch, ops)
    }
}
