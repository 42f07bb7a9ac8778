/// BERT (Devlin et al. 2018) with its pooler (dense, tanh) and a projection, on `[CLS]`.
package struct BertForSequenceClassification: SequenceClassifier {
    let encoder: Encoder
    let pooler: Linear
    let classifier: Linear

    package init(_ config: ModelConfig, _ weights: inout WeightReader) throws(InputError) {
        encoder = try Encoder(config, &weights, prefix: "bert")
        pooler = try weights.linear("bert.pooler.dense", from: config.hidden, to: config.hidden)
        classifier = try weights.linear("classifier", from: config.hidden, to: config.labelCount)
    }

    package static func ignores(_ tensor: String) -> Bool { tensor.hasSuffix(".position_ids") }

    package func logits(_ batch: TokenBatch, scratch: borrowing EncoderScratch, _ ops: Ops) -> Matrix {
        let positionIDs = batch.sequences.flatMap { Array(0..<$0.count) }
        let first = encoder(batch, positionIDs: positionIDs, scratch: scratch, ops)
        let pooled = scratch.pooled.prefix(first.rows)
        let logits = scratch.logits.prefix(first.rows)
        ops.linear(first, pooler, into: pooled)
        ops.tanh(pooled)
        ops.linear(pooled, classifier, into: logits)
        return logits
    }
}
