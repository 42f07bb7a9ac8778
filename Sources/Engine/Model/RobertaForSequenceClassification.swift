/// RoBERTa (Liu et al. 2019) with Hugging Face's classification head: dense, tanh, projection, on `<s>`.
package struct RobertaForSequenceClassification: SequenceClassifier {
    let encoder: Encoder
    let dense: Linear
    let projection: Linear
    let padID: Int

    package init(_ config: ModelConfig, _ weights: inout WeightReader) throws(InputError) {
        encoder = try Encoder(config, &weights, prefix: "roberta")
        dense = try weights.linear("classifier.dense", from: config.hidden, to: config.hidden)
        projection = try weights.linear("classifier.out_proj", from: config.hidden, to: config.labelCount)
        padID = config.padID
    }

    package static func ignores(_ tensor: String) -> Bool {
        tensor.hasPrefix("roberta.pooler.") || tensor.hasSuffix(".position_ids")
    }

    package func logits(_ batch: TokenBatch, scratch: borrowing EncoderScratch, _ ops: Ops) -> Matrix {
        let first = encoder(batch, positionIDs: positionIDs(batch), scratch: scratch, ops)
        let pooled = scratch.pooled.prefix(first.rows)
        let logits = scratch.logits.prefix(first.rows)
        ops.linear(first, dense, into: pooled)
        ops.tanh(pooled)
        ops.linear(pooled, projection, into: logits)
        return logits
    }

    /// Positions count from pad_id + 1; a `<pad>` in the text has position pad_id and is not counted.
    private func positionIDs(_ batch: TokenBatch) -> [Int] {
        batch.sequences.flatMap { sequence in
            var position = padID
            return batch.ids[sequence].map { id in
                if id == padID { return padID }
                position += 1
                return position
            }
        }
    }
}
