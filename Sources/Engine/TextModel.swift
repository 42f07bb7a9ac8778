/// What a model says of a text.
package typealias Scores = (logits: [Float], probabilities: [Float], sketch: EmbeddingSketch.Vector)

/// What a classifier runs, of whatever kind: texts into ids, ids into scores.
package protocol TextModel: Sendable {
    var architecture: String { get }
    var labels: [String] { get }
    var kind: Prediction.Kind { get }
    /// How it computes.
    var options: InferenceSession.Options { get }
    /// What there is to say of its threads: fewer than were asked for.
    var note: String? { get }
    /// Its weights: their size, and the SHA-256 of the file, in hexadecimal.
    var weightsBytes: Int { get }
    func weightsDigest() -> String
    /// The most tokens of one text that it reads; nil where there is no such limit.
    var maximumTokens: Int? { get }
    /// The most tokens of one pass; a longer text goes alone.
    var batchTokens: Int { get }

    /// Models with the same have logits that can be compared.
    var logitScale: String { get }
    /// What makes probabilities of calibrated logits; nil for a model whose scores are no probabilities, or not of that kind.
    var calibratedFunction: ModelConfig.ScoreFunction? { get }
    /// What is done to a text first.
    var preparation: TextPreparation { get }
    /// Whether of equally probable labels the last is the best one, not the first.
    var prefersLast: Bool { get }

    /// - Parameters:
    ///   - pair: a second text, which is judged together with the first.
    ///   - side: where what does not fit is cut off; nil for the tokenizer's own.
    func encode(_ text: String, pair: String?, index: Int, cutting side: TruncationSide?) throws(TextError) -> Encoding

    /// The windows that a long text is read in, each with how many tokens of the text it has.
    func windows(_ text: String, index: Int) throws(TextError) -> [(encoding: Encoding, tokens: Int)]

    /// One pass; for each encoding the logits and the probabilities, in the labels' order, and a sketch of what they came from.
    func scores(_ batch: [Encoding]) -> [Scores]

    /// Of the vector that the logits are computed from.
    var sketch: EmbeddingSketch { get }
    /// The token that stands for all that the vocabulary lacks; nil where there is none.
    var unknownID: Int? { get }
    /// Ids from here on have no name.
    var namedTokens: Int { get }
    /// The tokens' names, by id.
    func tokensByID() -> [Int: String]

    /// Runs `body` on the thread of passes, in the order in which it was brought, without waiting for its end.
    func enqueue(_ body: @escaping @Sendable () -> Void)
    /// Runs `body` on the caller's thread, in place of that of passes; false, and nothing is run, where that one has work.
    func runHere(_ body: () -> Void) -> Bool
}

/// A transformer with its tokenizer.
package struct TransformerModel: TextModel {
    package let tokenizer: TextTokenizer
    package let session: InferenceSession
    package let architecture: String
    package let labels: [String]
    private let scoreFunction: ModelConfig.ScoreFunction
    private let tokenTypes: Int?

    init(_ directory: ModelDirectory, options: Classifier.Options) throws(InputError) {
        let config = try ModelConfig(directory: directory.path)
        tokenizer = try TextTokenizer(directory, config: config, preparation: options.preparation)
        session = try InferenceSession(
            config, try Checkpoint.open(directory: directory.path), try options.inference(),
            workers: options.workers, emptyText: tokenizer.encodeUnchecked([]))
        scoreFunction = config.scoreFunction
        tokenTypes = config.sizes.types?.value
        architecture = config.architecture.rawValue
        labels = config.labels
    }

    package var options: InferenceSession.Options { session.options }
    package var note: String? { session.note }
    package var weightsBytes: Int { session.checkpoint.byteCount }
    package func weightsDigest() -> String { session.checkpoint.sha256() }
    package var logitScale: String { "\(scoreFunction) of a transformer" }
    package var calibratedFunction: ModelConfig.ScoreFunction? { scoreFunction == .identity ? nil : scoreFunction }
    package var preparation: TextPreparation { tokenizer.preparation }
    package let prefersLast = false
    package var kind: Prediction.Kind {
        switch scoreFunction {
        case .softmax: .oneLabel
        case .sigmoid: .labels
        case .identity: .numbers
        }
    }
    package var maximumTokens: Int? { tokenizer.maximumTokens }
    package var batchTokens: Int { session.batchTokens }

    package func encode(
        _ text: String, pair: String?, index: Int, cutting side: TruncationSide?
    ) throws(TextError) -> Encoding {
        let encoding = try tokenizer.encode(text, pair: pair, index: index, cutting: side)
        guard encoding.secondStart == nil || tokenTypes != 1 else {
            throw TextError(
                index: index, problem: "is one of a pair, whose second text has token type 1; the model has type 0 alone")
        }
        return encoding
    }

    package func windows(_ text: String, index: Int) throws(TextError) -> [(encoding: Encoding, tokens: Int)] {
        try tokenizer.windows(text, index: index).map { ($0, tokenizer.tokensOfText($0)) }
    }

    package func scores(_ batch: [Encoding]) -> [Scores] {
        session.outputs(batch).map { logits, sketch in
            var scores = logits
            switch scoreFunction {
            case .softmax: options.instructionSet.softmax(&scores)
            case .sigmoid: options.instructionSet.sigmoid(&scores)
            case .identity: break
            }
            return (logits, scores, sketch)
        }
    }

    package var sketch: EmbeddingSketch { session.sketch }
    package var unknownID: Int? { tokenizer.model.unknownToken }
    package var namedTokens: Int { .max }
    package func tokensByID() -> [Int: String] { tokenizer.tokensByID() }

    package func enqueue(_ body: @escaping @Sendable () -> Void) { session.enqueue(body) }
    package func runHere(_ body: () -> Void) -> Bool { session.runHere(body) }
}
