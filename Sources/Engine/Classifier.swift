import Foundation
import Synchronization

/// A label and how sure the model is of it.
public struct Prediction: Sendable, Equatable {
    public struct Score: Sendable, Equatable {
        public let label: String
        /// A probability, 0 to 1; of a regression the number itself.
        public let value: Float
    }

    /// What a model's scores say.
    public enum Kind: Sendable, Equatable {
        /// One label of several: they are its probability and the others'.
        case oneLabel
        /// Any number of labels: each is a label's own probability.
        case labels
        /// Regression: they are the answer.
        case numbers
    }

    /// One a label, in the model's order. A transformer's add up to 1, unless it judges each label by itself
    /// (`problem_type: multi_label_classification`, or a single label). A fastText model's are its library's, which adds 1e-5 to
    /// each, or judges each label by itself (one-vs-all).
    public let scores: [Score]
    /// Before the softmax or sigmoid, and before a calibration, in the same order. Of a hierarchical softmax (fastText) the
    /// probabilities' logarithms.
    public let logits: [Float]
    /// How many tokens the model read.
    public let tokens: Int
    public let isTruncated: Bool

    /// The most probable label; of equals the first, or of a fastText model's the last, as its library has it. A temperature
    /// alone never changes it, but where windows are averaged.
    public var best: Score { scores[bestIndex] }

    public let kind: Kind
    /// The labels with at least the threshold's probability (`Classifier.Options.threshold`); nil for a model of another kind.
    public let labels: [String]?
    /// How many windows the text was read in; nil where it was read in one piece, whatever did not fit.
    public let windows: Int?

    package let bestIndex: Int
    /// Of the vector that the logits were computed from.
    package let sketch: EmbeddingSketch.Vector

    package init(
        scores: [Score], logits: [Float], tokens: Int, isTruncated: Bool, prefersLast: Bool = false, kind: Kind = .oneLabel,
        threshold: Float = 0.5, windows: Int? = nil, bestIndex: Int? = nil, sketch: EmbeddingSketch.Vector = .zero
    ) {
        self.sketch = sketch
        self.windows = windows
        self.kind = kind
        labels = kind == .labels ? scores.filter { $0.value >= threshold }.map(\.label) : nil
        self.scores = scores
        self.logits = logits
        self.tokens = tokens
        self.isTruncated = isTruncated
        self.bestIndex = bestIndex ?? Self.best(of: scores.map(\.value), prefersLast: prefersLast)
    }

    static func best(of values: [Float], prefersLast: Bool) -> Int {
        values.indices.reduce(0) { values[$1] > values[$0] || (prefersLast && values[$1] == values[$0]) ? $1 : $0 }
    }
}

/// A text classifier, loaded from a model directory: texts in, labels out. Usable from concurrent code; passes run one
/// at a time.
public final class Classifier: Sendable {
    public struct Options: Sendable {
        /// nil for int8, or f32 where the backend is OpenBLAS.
        public var precision: Precision?
        /// nil for `simd`; for f32 on an x86 CPU without AVX2 `openblas` where there is one, unless `APUS_FORCE_ISA` is set.
        public var backend: Backend?
        /// Threads of a forward pass; nil for what the process may use.
        public var threads: Int?
        /// nil for what config.json says, which is `tweet` where it says nothing.
        public var preparation: TextPreparation?
        /// nil for the best one the machine has, or `APUS_FORCE_ISA`.
        public var instructionSet: InstructionSet?
        /// Whether a pass may move its own threads, never the caller's, to other CPUs where the scheduler put several on
        /// one. It changes these threads' CPU affinity, which a program that places its threads itself may not want; where
        /// the scheduler does it, passes take several times as long. With `APUS_TEAM=openmp` it sets libomp's block time,
        /// too, which holds for the whole process.
        public var spreadsThreads: Bool
        /// From which probability on a label is one of `Prediction.labels`, 0 to 1.
        public var threshold: Float
        public var longTexts: LongTexts
        /// Whether the calibration in the model's directory, where there is one, is applied.
        public var usesCalibration: Bool
        /// Shared with other models; nil for threads of its own.
        package var workers: InferenceWorkers?
        /// About how many bytes the scores of earlier texts may take, so that a text that comes again costs no pass; 0 for
        /// none.
        public var cacheBytes: Int

        public init(
            precision: Precision? = nil, backend: Backend? = nil, threads: Int? = nil,
            preparation: TextPreparation? = nil, instructionSet: InstructionSet? = nil, spreadsThreads: Bool = false,
            threshold: Float = 0.5, longTexts: LongTexts = .truncate, usesCalibration: Bool = true,
            cacheBytes: Int = 0
        ) {
            self.precision = precision
            self.backend = backend
            self.threads = threads
            self.preparation = preparation
            self.instructionSet = instructionSet
            self.spreadsThreads = spreadsThreads
            self.threshold = threshold
            self.longTexts = longTexts
            self.usesCalibration = usesCalibration
            self.cacheBytes = cacheBytes
        }

        package func inference() throws(InputError) -> InferenceSession.Options {
            let instructionSet: InstructionSet
            if let chosen = self.instructionSet { instructionSet = chosen } else { instructionSet = try .select() }
            let precision = self.precision ?? (backend == .openblas ? .f32 : .int8)
            let isSlow = precision == .f32 && instructionSet.lacksProducts
            let standard: Backend = isSlow && OpenBLAS.shared != nil ? .openblas : .simd
            let backend = self.backend ?? standard
            guard backend == .simd || precision == .f32 else {
                throw InputError("--backend openblas", "has no int8 products; use --precision f32, or --backend simd")
            }
            let threads = self.threads ?? ProcessorCount.available
            guard 1...1024 ~= threads else { throw InputError("threads", "must be from 1 to 1024, not \(threads)") }
            return InferenceSession.Options(
                precision: precision, backend: backend, threads: threads, instructionSet: instructionSet,
                runtime: try .select(), spreadsThreads: spreadsThreads)
        }
    }

    public let directory: ModelDirectory
    package let model: any TextModel
    /// From which probability on a label is one of `Prediction.labels`.
    public let threshold: Float
    public let longTexts: LongTexts
    /// What is applied to its logits; nil for nothing.
    public let calibration: Calibration?
    private let calibrationDigest: String?
    private let cache: ScoreCache?

    /// Loads a model; throws `InputError`.
    public init(_ directory: ModelDirectory, options: Options = Options()) throws(InputError) {
        self.directory = directory
        guard 0...1 ~= options.threshold else {
            throw InputError("threshold", "must be from 0 to 1, not \(options.threshold)")
        }
        threshold = options.threshold
        longTexts = options.longTexts
        cache = options.cacheBytes > 0 ? ScoreCache(bytes: options.cacheBytes) : nil
        if let file = directory.fastText {
            model = try FastTextClassifier(file, options: options)
        } else {
            model = try TransformerModel(directory, options: options)
        }
        let stored = options.usesCalibration ? try Calibration.read(directory, labels: model.labels) : nil
        calibration = stored?.calibration
        calibrationDigest = stored?.digest
        if let calibration {
            guard model.calibratedFunction != nil else {
                throw InputError(
                    directory.file(Calibration.fileName),
                    "cannot be applied: the model's scores are not probabilities, which a temperature needs. Delete it, or "
                        + "leave it out with --raw")
            }
            try calibration.check(modelDigest(withCalibration: false), directory)
        }
    }

    /// The same model, but every text goes through it, whatever was asked before.
    package var withoutCache: Classifier { Classifier(uncached: self) }

    private init(uncached other: Classifier) {
        (directory, model, threshold, longTexts) = (other.directory, other.model, other.threshold, other.longTexts)
        (calibration, calibrationDigest) = (other.calibration, other.calibrationDigest)
        cache = nil
    }

    /// Loads the model in the directory `model`, or the one inside the package.
    public convenience init(model: String? = nil, options: Options = Options()) throws(InputError) {
        try self.init(try ModelDirectory.resolve(model), options: options)
    }

    public var architecture: String { model.architecture }
    public var labels: [String] { model.labels }
    /// What its scores say.
    public var kind: Prediction.Kind { model.kind }
    public var instructionSet: InstructionSet { model.options.instructionSet }
    /// Of a forward pass: fewer than were asked for where the system gives no more, of which `note` tells.
    public var threads: Int { model.options.threads }
    /// What a log should say of the model and how it runs: tensors of no use, fewer threads than were asked for. Usually nil.
    public var note: String? { model.note }
    public var precision: Precision { model.options.precision }
    public var backend: Backend { model.options.backend }
    /// The most tokens of one text that the model reads, special tokens included; nil where there is no such limit.
    public var maximumTokens: Int? { model.maximumTokens }
    /// The weights' files, in bytes.
    public var weightsBytes: Int { model.weightsBytes }

    /// The ids of `text`, or of it and a second text that is judged together with it; what does not fit is cut off.
    ///
    /// - Parameter side: where it is cut; nil for the tokenizer's own.
    public func encode(
        _ text: String, pair: String? = nil, index: Int = 0, cutting side: TruncationSide? = nil
    ) throws(TextError) -> Encoding {
        try model.encode(text, pair: pair, index: index, cutting: side)
    }

    /// A text, or a pair of texts, as it goes through the model: as `longTexts` says, in one piece or in several windows.
    public struct TextInput: Sendable {
        public let encodings: [Encoding]
        /// Of each the tokens of the text; nil where they are not windows.
        fileprivate let tokens: [Int]?

        /// How many tokens there are in all.
        public var tokenCount: Int { encodings.reduce(0) { $0 + $1.ids.count } }
    }

    /// A text ready for the model. A pair that is too long is never read in windows: it is cut.
    ///
    /// - Parameters:
    ///   - longTexts: nil for the classifier's own way.
    ///   - side: where a text that is cut is cut; nil for the tokenizer's own.
    public func input(
        _ text: String, pair: String? = nil, index: Int = 0, longTexts: LongTexts? = nil,
        cutting side: TruncationSide? = nil
    ) throws(TextError) -> TextInput {
        let longTexts = longTexts ?? self.longTexts
        if longTexts == .windows, pair == nil {
            let windows = try model.windows(text, index: index)
            return TextInput(encodings: windows.map(\.encoding), tokens: windows.map(\.tokens))
        }
        let encoding = try encode(text, pair: pair, index: index, cutting: side)
        guard longTexts != .refuse || !encoding.isTruncated else {
            throw TextError(
                index: index,
                problem:
                    "has \(encoding.untruncatedCount) tokens; the limit is \(encoding.ids.count). Shorten it, or have it cut "
                    + "or read in windows")
        }
        return TextInput(encodings: [encoding], tokens: nil)
    }

    /// What the model says of an input, from the predictions of its encodings.
    public func prediction(_ input: TextInput, _ predictions: some Collection<Prediction>) -> Prediction {
        precondition(predictions.count == input.encodings.count)
        guard let tokens = input.tokens else { return predictions.first! }
        return Prediction(
            windows: Array(zip(predictions, tokens)).map { ($0.0, $0.1) }, prefersLast: model.prefersLast,
            threshold: threshold)
    }

    /// A label for each text, in order.
    public func predict(_ texts: [String]) throws -> [Prediction] {
        var inputs: [TextInput] = []
        for (index, text) in texts.enumerated() { inputs.append(try input(text, index: index)) }
        return try predict(inputs)
    }

    /// A label for each input, in order.
    public func predict(_ inputs: [TextInput]) throws(InputError) -> [Prediction] {
        let predictions = try predict(inputs.flatMap(\.encodings))
        var start = 0
        return inputs.map { input in
            defer { start += input.encodings.count }
            return prediction(input, predictions[start..<start + input.encodings.count])
        }
    }

    /// A label for each tokenized text, in order. Of texts with the same tokens one goes through the model.
    public func predict(_ encodings: [Encoding]) throws(InputError) -> [Prediction] {
        var scores = cache?.scores(of: encodings) ?? Array(repeating: nil, count: encodings.count)
        // The places of each text that is computed.
        var places: [[Int]] = []
        var seen: [ScoreCache.Key: Int] = [:]
        for (place, encoding) in encodings.enumerated() where scores[place] == nil {
            let key = ScoreCache.Key(encoding)
            if let known = seen[key] {
                places[known].append(place)
            } else {
                seen[key] = places.count
                places.append([place])
            }
        }
        var start = 0
        while start < places.count {
            var batch: [Encoding] = []
            var tokens = 0
            for places in places[start...] {
                let encoding = encodings[places[0]]
                guard batch.isEmpty || tokens + encoding.ids.count <= model.batchTokens else { break }
                tokens += encoding.ids.count
                batch.append(encoding)
            }
            for (index, computed) in model.scores(batch).enumerated() {
                for place in places[start + index] { scores[place] = computed }
            }
            start += batch.count
        }
        let predictions = try predictions(encodings, scores.map { $0! })
        if let cache {
            for places in places { cache.insert(scores[places[0]]!, for: encodings[places[0]]) }
        }
        return predictions
    }

    /// A label for each tokenized text where all are known from before; nil where one has to go through the model.
    package func cachedPredictions(_ encodings: [Encoding]) throws(InputError) -> [Prediction]? {
        guard let scores = cache?.allScores(of: encodings) else { return nil }
        return try predictions(encodings, scores)
    }

    private func predictions(
        _ encodings: [Encoding], _ scores: [Scores]
    ) throws(InputError) -> [Prediction] {
        var predictions: [Prediction] = []
        for (encoding, scores) in zip(encodings, scores) {
            predictions.append(try prediction(encoding, scores))
        }
        return predictions
    }

    /// How many texts were answered from the cache.
    package var cacheHits: Int { cache?.hits ?? 0 }

    /// The most tokens that one pass takes.
    public var batchTokens: Int { model.batchTokens }

    /// Runs `body` on the thread that passes run on, in turn with other callers' passes, and returns at once. A server's
    /// loop that predicts there spares each batch the way from thread to thread.
    public func enqueue(_ body: @escaping @Sendable () -> Void) { model.enqueue(body) }

    /// Runs `body` on the caller's thread, in place of the one that passes run on, where that has nothing to do; other callers'
    /// passes wait meanwhile. False where it has: `body` is not run then.
    package func runHere(_ body: () -> Void) -> Bool { model.runHere(body) }

    private let digest = Mutex<String?>(nil)
    /// Without the calibration.
    private let files = Mutex<ModelDigest?>(nil)

    /// The SHA-256 of the weights' file, in hexadecimal; of several, that of what sha256sum prints of them. The first call reads
    /// all of it.
    public func weightsDigest() -> String {
        digest.withLock { digest in
            if let digest { return digest }
            let computed = model.weightsDigest()
            digest = computed
            return computed
        }
    }

    /// Of all that decides its answers: weights, configuration, tokenizer, text preparation, calibration. The first call reads
    /// the files.
    ///
    /// - Parameter withCalibration: false for the model as it is without one.
    public func modelDigest(withCalibration: Bool = true) -> ModelDigest {
        let weights = weightsDigest()
        return files.withLock { files in
            let without = files ?? ModelDigest(directory, weights: weights, preparation: model.preparation)
            files = without
            guard withCalibration, let calibrationDigest else { return without }
            return ModelDigest(parts: without.parts + [.init(Calibration.fileName, calibrationDigest)])
        }
    }

    private func prediction(
        _ encoding: Encoding, _ computed: Scores
    ) throws(InputError) -> Prediction {
        let (logits, probabilities, sketch) = computed
        guard logits.allSatisfy(\.isFinite) else {
            throw InputError(directory.name, "the model's logits are \(logits): its weights are damaged. Fetch it again")
        }
        var (scores, best) = (probabilities, Int?.none)
        if let calibration, let function = model.calibratedFunction {
            scores = calibration.probabilities(logits, function)
            // What a temperature makes equal, by rounding, stays in its order.
            if calibration.bias == nil { best = Prediction.best(of: probabilities, prefersLast: model.prefersLast) }
        }
        return Prediction(
            scores: zip(labels, scores).map { Prediction.Score(label: $0, value: $1) }, logits: logits,
            tokens: encoding.ids.count, isTruncated: encoding.isTruncated, prefersLast: model.prefersLast, kind: model.kind,
            threshold: threshold, bestIndex: best, sketch: sketch)
    }
}
