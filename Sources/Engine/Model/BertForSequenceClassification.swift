/// BERT (Devlin et al. 2018) with its pooler (dense, tanh) and a projection, on `[CLS]`.
package struct BertForSequenceClassification: SequenceClassifier {
    let encoder: Encoder
    let pooler: Linear
    let classifier: Linear

    package init(_ config: ModelConfig, _ weights: inout WeightReader) throws(InputError) {
        encoder = try Encoder(config, &weights, prefix: "bert")
        pooler = try weights.linear("bert.pooler.dense", from: config.hidden, to: config.hidden)
        classifier = try weights.labelProjection("classifier", from: config.hidden, to: config.labelCount)
    }

    package static func ignores(_ tensor: String) -> Bool { tensor.hasSuffix(".position_ids") }

    package static func positions(_ config: ModelConfig) -> TokenBatch.Positions { .fromZero }

    package func forward(_ batch: TokenBatch, scratch: EncoderScratch, _ ops: Ops) {
        let first = encoder(batch, scratch: scratch, ops)
        let pooled = scratch.pooled.prefix(first.rows)
        ops.linear(first, pooler, into: pooled.values)
        ops.tanh(pooled.values)
        ops.linear(pooled, classifier, into: scratch.logits.prefix(first.rows))
    }
}
