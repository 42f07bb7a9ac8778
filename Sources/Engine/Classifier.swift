import Foundation
import Synchronization

/// A label and how sure the model is of it.
public struct Prediction: Sendable, Equatable {
    public struct Score: Sendable, Equatable {
        public let label: String
        /// A probability, 0 to 1.
        public let value: Float
    }

    /// One a label, in the model's order; they add up to 1.
    public let scores: [Score]
    /// Before the softmax, in the same order.
    public let logits: [Float]
    /// How many tokens the model read.
    public let tokens: Int
    public let isTruncated: Bool

    /// The most probable label; the first of equals.
    public var best: Score { scores[bestIndex] }

    package var bestIndex: Int { scores.indices.reduce(0) { scores[$1].value > scores[$0].value ? $1 : $0 } }
}

/// A text classifier, loaded from a model directory: texts in, labels out. Usable from concurrent code; passes run one
/// at a time.
public final class Classifier: Sendable {
    public struct Options: Sendable {
        /// Threads of the matrix products; nil for what the process may use.
        public var threads: Int?
        /// nil for what config.json says, which is `tweet` where it says nothing.
        public var preparation: TextPreparation?
        /// nil for the best one the machine has, or `APUS_FORCE_ISA`.
        public var instructionSet: InstructionSet?

        public init(
            threads: Int? = nil, preparation: TextPreparation? = nil, instructionSet: InstructionSet? = nil
        ) {
            self.threads = threads
            self.preparation = preparation
            self.instructionSet = instructionSet
        }
    }

    /// The tokens of one pass; more texts go through in several.
    private static let batchTokens = 1024

    public let directory: ModelDirectory
    public let architecture: String
    public let labels: [String]
    public let tokenizer: TextTokenizer
    public let instructionSet: InstructionSet
    public let threads: Int
    public let precision = "f32"

    private let checkpoint: Checkpoint
    private let ops: Ops
    private let model: any SequenceClassifier
    private let scratch: Mutex<EncoderScratch>

    /// Loads a model directory; throws `InputError`.
    public init(_ directory: ModelDirectory, options: Options = Options()) throws(InputError) {
        self.directory = directory
        let config = try ModelConfig(directory: directory.path)
        checkpoint = try Checkpoint.open(directory: directory.path)
        var weights = WeightReader(checkpoint, isQuantized: config.isQuantized)
        let type: any SequenceClassifier.Type =
            switch config.architecture {
            case .roberta: RobertaForSequenceClassification.self
            case .bert: BertForSequenceClassification.self
            }
        model = try type.init(config, &weights)
        try weights.verifyAllUsed(except: type.ignores)

        tokenizer = try TextTokenizer(directory, config: config, preparation: options.preparation)
        if let instructionSet = options.instructionSet {
            self.instructionSet = instructionSet
        } else {
            instructionSet = try InstructionSet.select()
        }
        ops = Ops(instructionSet)
        threads = options.threads ?? ProcessorCount.available
        Ops.setThreads(threads)
        architecture = config.architecture.rawValue
        labels = config.labels
        scratch = Mutex(EncoderScratch(config, tokens: max(Self.batchTokens, config.maximumTokens)))
    }

    /// A label for each text, in order.
    public func predict(_ texts: [String]) throws -> [Prediction] {
        var encodings: [Encoding] = []
        for (index, text) in texts.enumerated() { encodings.append(try tokenizer.encode(text, index: index)) }
        return try predict(encodings)
    }

    /// A label for each tokenized text, in order.
    public func predict(_ encodings: [Encoding]) throws(InputError) -> [Prediction] {
        var predictions: [Prediction] = []
        var start = 0
        while start < encodings.count {
            var end = start
            var tokens = 0
            while end < encodings.count, end == start || tokens + encodings[end].ids.count <= Self.batchTokens {
                tokens += encodings[end].ids.count
                end += 1
            }
            let batch = Array(encodings[start..<end])
            for (encoding, logits) in zip(batch, logits(batch.map(\.ids))) {
                predictions.append(try prediction(encoding, logits))
            }
            start = end
        }
        return predictions
    }

    /// [texts][labels]; each text within `maximumTokens`, together within the scratch.
    package func logits(_ ids: [[Int]]) -> [[Float]] {
        let batch = TokenBatch(ids)
        return scratch.withLock { scratch in
            precondition(batch.ids.count <= scratch.tokens)
            let logits = model.logits(batch, scratch: scratch, ops)
            return ids.indices.map { Array(logits.row($0)) }
        }
    }

    /// The SHA-256 of the weights' file, in hexadecimal. Reads the whole file.
    public func weightsDigest() -> String { checkpoint.file.sha256() }

    private func prediction(_ encoding: Encoding, _ logits: [Float]) throws(InputError) -> Prediction {
        guard logits.allSatisfy(\.isFinite) else {
            throw InputError(directory.name, "the model's logits are \(logits): its weights are damaged. Fetch it again")
        }
        var probabilities = logits
        ops.softmax(&probabilities)
        return Prediction(
            scores: zip(labels, probabilities).map { Prediction.Score(label: $0, value: $1) }, logits: logits,
            tokens: encoding.ids.count, isTruncated: encoding.isTruncated)
    }
}
