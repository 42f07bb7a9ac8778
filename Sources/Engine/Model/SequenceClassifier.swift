/// A transformer with a classification head: token ids in, logits out.
package protocol SequenceClassifier: Sendable {
    init(_ config: ModelConfig, _ weights: inout WeightReader) throws(InputError)

    /// Tensors that its checkpoints may carry and that it has no use for.
    static func ignores(_ tensor: String) -> Bool

    /// The matrix onto the labels, which stays f32 in an int8 checkpoint.
    static var labelProjection: String { get }

    static func positions(_ config: ModelConfig) -> TokenBatch.Positions

    /// Writes `scratch.logits`, [sequences, labels]. Every thread of the team calls it.
    func forward(_ batch: TokenBatch, scratch: EncoderScratch, _ ops: Ops)
}

extension ModelConfig.Architecture {
    package var model: any SequenceClassifier.Type {
        switch self {
        case .roberta, .xlmRoberta, .camembert, .mpnet: RobertaForSequenceClassification.self
        case .bert, .distilBert, .electra, .modernBert, .debertaV2, .albert: BertForSequenceClassification.self
        }
    }
}

/// Dense, tanh, projection onto the labels: what both architectures do with the classification token.
package struct ClassificationHead: Sendable {
    let dense: Linear
    let projection: Linear

    /// Writes `scratch.logits` from `first`, [sequences, hidden].
    func callAsFunction(_ first: Activations, scratch: EncoderScratch, _ ops: Ops) {
        let pooled = scratch.pooled.prefix(first.rows)
        ops.linear(first, dense, into: pooled.values)
        ops.tanh(pooled.values)
        ops.linear(pooled, projection, into: scratch.logits.prefix(first.rows))
    }
}
