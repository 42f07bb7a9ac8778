/// BERT (Devlin et al. 2018) with its pooler (dense, tanh) and a projection, on `[CLS]`.
package struct BertForSequenceClassification: SequenceClassifier {
    let encoder: Encoder
    let head: ClassificationHead

    package init(_ config: ModelConfig, _ weights: inout WeightReader) throws(InputError) {
        encoder = try Encoder(config, &weights, prefix: "bert")
        head = ClassificationHead(
            dense: try weights.linear("bert.pooler.dense", from: config.hidden, to: config.hidden),
            projection: try weights.labelProjection("classifier", from: config.hidden, to: config.labelCount))
    }

    package static func ignores(_ tensor: String) -> Bool { tensor.hasSuffix(".position_ids") }

    package static var labelProjection: String { "classifier.weight" }

    package static func positions(_ config: ModelConfig) -> TokenBatch.Positions { .fromZero }

    package func forward(_ batch: TokenBatch, scratch: EncoderScratch, _ ops: Ops) {
        head(encoder(batch, scratch: scratch, ops), scratch: scratch, ops)
    }
}
