/// A transformer with a classification head: token ids in, logits out.
package protocol SequenceClassifier: Sendable {
    init(_ config: ModelConfig, _ weights: inout WeightReader) throws(InputError)

    /// Tensors that its checkpoints may carry and that it has no use for.
    static func ignores(_ tensor: String) -> Bool

    static func positions(_ config: ModelConfig) -> TokenBatch.Positions

    /// Writes `scratch.logits`, [sequences, labels]. Every thread of the team calls it.
    func forward(_ batch: TokenBatch, scratch: EncoderScratch, _ ops: Ops)
}
