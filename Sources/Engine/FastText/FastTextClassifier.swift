import Synchronization

/// A fastText model as a classifier runs it: on one thread, which is fast enough, in f32.
package final class FastTextClassifier: TextModel {
    package let model: FastTextModel
    package let options: InferenceSession.Options
    package var note: String? { nil }
    package let preparation: TextPreparation
    private let thread: InferenceThread
    package let sketch: EmbeddingSketch
    private let scratch: Mutex<FastTextModel.Scores>

    /// - Parameter file: the model's, `.bin` or `.ftz`.
    package init(_ file: String, options: Classifier.Options) throws(InputError) {
        guard options.precision != .int8 else {
            throw InputError(
                file, "is a fastText model, which computes in f32 alone; int8 was asked for, by an option or APUS_PRECISION")
        }
        guard options.backend != .openblas else {
            throw InputError(
                file, "is a fastText model, which has no products for OpenBLAS, as --backend or APUS_BACKEND asks")
        }
        var options = options
        options.precision = .f32
        options.backend = .simd
        options.threads = 1
        thread = options.workers?.thread ?? InferenceThread()
        self.options = try options.inference()
        // The library takes texts as they are, and so were its models trained.
        preparation = options.preparation ?? .none
        model = try FastTextModel(path: file, instructionSet: self.options.instructionSet)
        sketch = EmbeddingSketch(width: model.dimension)
        scratch = Mutex(try model.makeScores())
    }

    package let architecture = "fastText"
    package var labels: [String] { model.labels }
    /// One-vs-all, too, whose library takes the best label.
    package let kind = Prediction.Kind.oneLabel
    package var weightsBytes: Int { model.file.bytes.count }
    package func weightsDigest() -> String { model.file.sha256() }
    package var maximumTokens: Int? { nil }
    package let batchTokens = 1 << 16
    package var logitScale: String { "fastText's \(model.loss)" }
    package var calibratedFunction: ModelConfig.ScoreFunction? {
        [.softmax, .hierarchicalSoftmax].contains(model.loss) ? .softmax : nil
    }
    /// As its library's `predict` does; one-vs-all takes its probabilities from a table, so that equal ones are not rare.
    package let prefersLast = true

    /// It reads a text of any length: nothing is ever cut.
    package func encode(
        _ text: String, pair: String?, index: Int, cutting side: TruncationSide?
    ) throws(TextError) -> Encoding {
        guard pair == nil else {
            throw TextError(index: index, problem: "is one of a pair; a fastText model takes one text")
        }
        try TextTokenizer.check(text, index: index, maximumTokens: nil)
        var ids: [Int] = []
        var text = text
        if preparation == .none {
            text.withUTF8 { model.encode($0, into: &ids) }
        } else {
            preparation.prepare(Array(text.utf8)).withUnsafeBufferPointer { model.encode($0, into: &ids) }
        }
        return Encoding(ids: ids, untruncatedCount: ids.count)
    }

    /// One: it reads a text of any length.
    package func windows(_ text: String, index: Int) throws(TextError) -> [(encoding: Encoding, tokens: Int)] {
        let encoding = try encode(text, pair: nil, index: index, cutting: nil)
        return [(encoding, max(1, encoding.ids.count))]
    }

    /// What each of the rows stands for that a text is made of.
    package func tokens(_ text: String, index: Int) throws(TextError) -> [(id: Int, token: String)] {
        try TextTokenizer.check(text, index: index, maximumTokens: nil)
        return model.tokens(String(decoding: preparation.prepare(Array(text.utf8)), as: UTF8.self))
    }

    package func scores(_ batch: [Encoding]) -> [Scores] {
        scratch.withLock { scores in
            batch.map { encoding in
                model.predict(encoding.ids, into: &scores)
                return (scores.logits, scores.probabilities, scores.hidden.withUnsafeBufferPointer { sketch($0) })
            }
        }
    }

    /// Words that it does not know it reads by their parts.
    package var unknownID: Int? { nil }
    /// Words; their parts and groups share rows, and so have no names.
    package var namedTokens: Int { model.wordCount }
    package func tokensByID() -> [Int: String] {
        Dictionary(uniqueKeysWithValues: zip(0..<namedTokens, model.words()))
    }

    package func enqueue(_ body: @escaping @Sendable () -> Void) { thread.enqueue(body) }
    package func runHere(_ body: () -> Void) -> Bool { thread.runHere(body) }
}
