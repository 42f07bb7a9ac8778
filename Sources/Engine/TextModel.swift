/// What a classifier runs, of whatever kind: texts into ids, ids into scores.
package protocol TextModel: Sendable {
    var architecture: String { get }
    var labels: [String] { get }
    /// How it computes.
    var options: InferenceSession.Options { get }
    /// What there is to say of its threads: fewer than were asked for.
    var note: String? { get }
    /// The file with its weights.
    var weights: MappedFile { get }
    /// The most tokens of one text that it reads; nil where there is no such limit.
    var maximumTokens: Int? { get }
    /// The most tokens of one pass; a longer text goes alone.
    var batchTokens: Int { get }

    /// Models with the same have logits that can be compared.
    var logitScale: String { get }
    /// Whether of equally probable labels the last is the best one, not the first.
    var prefersLast: Bool { get }

    func encode(_ text: String, index: Int) throws(TextError) -> Encoding

    /// One pass; for each encoding the logits and the probabilities, in the labels' order.
    func scores(_ batch: [Encoding]) -> [(logits: [Float], probabilities: [Float])]

    /// Runs `body` on the thread of passes, in the order in which it was brought, without waiting for its end.
    func enqueue(_ body: @escaping @Sendable () -> Void)
}

/// A transformer with its tokenizer.
package struct TransformerModel: TextModel {
    package let tokenizer: TextTokenizer
    package let session: InferenceSession
    package let architecture: String
    package let labels: [String]

    init(_ directory: ModelDirectory, options: Classifier.Options) throws(InputError) {
        let config = try ModelConfig(directory: directory.path)
        tokenizer = try TextTokenizer(directory, config: config, preparation: options.preparation)
        session = try InferenceSession(
            config, try Checkpoint.open(directory: directory.path), try options.inference())
        architecture = config.architecture.rawValue
        labels = config.labels
    }

    package var options: InferenceSession.Options { session.options }
    package var note: String? { session.note }
    package var weights: MappedFile { session.checkpoint.file }
    package let logitScale = "softmax of a transformer"
    package let prefersLast = false
    package var maximumTokens: Int? { tokenizer.maximumTokens }
    package var batchTokens: Int { session.batchTokens }

    package func encode(_ text: String, index: Int) throws(TextError) -> Encoding {
        try tokenizer.encode(text, index: index)
    }

    package func scores(_ batch: [Encoding]) -> [(logits: [Float], probabilities: [Float])] {
        session.logits(batch.map(\.ids)).map { logits in
            var probabilities = logits
            options.instructionSet.softmax(&probabilities)
            return (logits, probabilities)
        }
    }

    package func enqueue(_ body: @escaping @Sendable () -> Void) { session.enqueue(body) }
}
