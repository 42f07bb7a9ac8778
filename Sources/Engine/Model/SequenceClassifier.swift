/// A transformer with a classification head: token ids in, logits out.
package protocol SequenceClassifier: Sendable {
    init(_ config: ModelConfig, _ weights: inout WeightReader) throws(InputError)

    /// Tensors that its checkpoints may carry and that it has no use for.
    static func ignores(_ tensor: String) -> Bool

    /// [sequences, labels], valid until the scratch is used again.
    func logits(_ batch: TokenBatch, scratch: borrowing EncoderScratch, _ ops: Ops) -> Matrix
}
