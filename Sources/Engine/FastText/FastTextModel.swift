/// A fastText supervised model (Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification"): the mean of the
/// rows that a text's words, subwords and groups of words have in a matrix, times a matrix of labels. Read from the
/// library's `.bin`, or from its `.ftz` with product-quantized matrices (Joulin et al. 2016, "FastText.zip").
package final class FastTextModel: Sendable {
    package enum Loss: Int, Sendable {
        case hierarchicalSoftmax = 1
        case negativeSampling
        case softmax
        case oneVsAll
    }

    /// The memory of one caller's predictions, and the last one's results. To be kept: it learns words' sums.
    package struct Scores {
        fileprivate var sums: RowSums
        /// The mean of the text's rows.
        package fileprivate(set) var hidden: [Float]
        fileprivate var nodes: [Double]
        /// One a label: the product with its row; of a hierarchical softmax, the logarithm of the product along its path.
        package fileprivate(set) var logits: [Float]
        /// One a label, 0 to 1; `FastTextLoss` says what they add up to.
        package fileprivate(set) var probabilities: [Float]
    }

    package let file: MappedFile
    /// Without `__label__` where all have it; in the file's order, the most frequent first.
    package let labels: [String]
    package let isQuantized: Bool
    package var dimension: Int { settings.dimension }
    package var loss: Loss { settings.loss }
    /// Wider parts would let a small file stand for a huge matrix, which is unpacked here.
    private static let outputPartWidth = 2

    private let settings: FastTextSettings
    private let dictionary: FastTextDictionary
    private let input: FastTextMatrix
    private let output: RowProducts
    /// What each product is to be multiplied with, where the labels' matrix is quantized with separate norms.
    private let outputNorms: [Float]?
    private let scorer: FastTextLoss

    /// Maps the file and checks all of it but the weights' values.
    ///
    /// - Parameter instructionSet: nil for the best one the machine has, or `APUS_FORCE_ISA`.
    package init(path: String, instructionSet: InstructionSet? = nil) throws(InputError) {
        file = try MappedFile(path: path)
        var reader = FastTextReader(file)
        settings = try FastTextSettings(&reader)
        dictionary = try FastTextDictionary(&reader, settings)
        labels = dictionary.labels

        isQuantized = try reader.flag("quant_input")
        input = try FastTextMatrix(&reader, "input matrix", isQuantized: isQuantized, columns: settings.dimension)
        guard input.rows >= dictionary.rows else {
            throw reader.damaged("its input matrix has \(input.rows) rows; its dictionary needs \(dictionary.rows)")
        }
        guard isQuantized || !dictionary.isPruned else {
            throw InputError(
                file.name,
                "has a pruned dictionary and no quantized matrix, as early releases of fastText wrote; the "
                    + "library refuses it too (its issue 332). Quantize the model again")
        }
        let isOutputQuantized = try reader.flag("qout") && isQuantized
        let matrix = try FastTextMatrix(
            &reader, "output matrix", isQuantized: isOutputQuantized, columns: settings.dimension)
        guard matrix.rows == labels.count else {
            throw reader.damaged("its output matrix has \(matrix.rows) rows for \(labels.count) labels")
        }
        guard matrix.partWidth <= Self.outputPartWidth else {
            throw reader.damaged(
                "its output matrix is cut into parts of \(matrix.partWidth) columns; the library's are of "
                    + "\(Self.outputPartWidth)")
        }
        guard reader.left == 0 else {
            throw reader.damaged("\(reader.left) bytes behind its output matrix belong to nothing")
        }
        let chosen: InstructionSet
        if let instructionSet { chosen = instructionSet } else { chosen = try .select() }
        output = try RowProducts(rows: matrix.rows, columns: matrix.columns, on: chosen, read: matrix.read)
        outputNorms = matrix.norms
        scorer = try FastTextLoss(settings.loss, labelCounts: dictionary.labelCounts, on: chosen, reader)
    }

    // MARK: - Texts

    /// Appends the numbers of the input matrix' rows that `text` stands for, in the library's order: for each word its own
    /// and its subwords', the end of the line, and groups of words. There may be none: nothing of the text is known.
    ///
    /// As the library does, a word that is a label is left out, and a word `</s>` ends the text. A newline is a space here:
    /// the library takes one line at a time.
    package func encode(_ text: UnsafeBufferPointer<UInt8>, into ids: inout [Int]) {
        var sink = FastTextRowNumbers(taking: &ids)
        dictionary.walk(text, &sink)
        ids = sink.ids
    }

    /// The same rows with what each stands for: a word, a subword such as `<ab`, words joined by spaces.
    package func tokens(_ text: String) -> [(id: Int, token: String)] {
        let bytes = Array(text.utf8)
        var sink = Tokens(text: bytes)
        bytes.withUnsafeBufferPointer { dictionary.walk($0, &sink) }
        return sink.tokens
    }

    private struct Tokens: FastTextSink {
        let text: [UInt8]
        var words: [String] = []
        var tokens: [(id: Int, token: String)] = []

        mutating func countWord(_ range: Range<Int>?) {
            let word = range.map { String(decoding: text[$0.lowerBound - 1..<$0.upperBound - 1], as: UTF8.self) }
            words.append(word ?? "</s>")
        }

        mutating func append(row: Int, _ source: FastTextSource, _ bytes: UnsafeMutableBufferPointer<UInt8>?) {
            let token =
                switch source {
                case .word(let range), .subword(let range): String(decoding: bytes![range], as: UTF8.self)
                case .endOfLine: "</s>"
                case .group(let range): words[range].joined(separator: " ")
                }
            tokens.append((row, token))
        }
    }

    package var wordCount: Int { dictionary.words }

    /// The words of its dictionary, which the first rows are of.
    package func words() -> [String] {
        dictionary.entries.prefix(dictionary.words).map {
            String(decoding: file.bytes[$0.offset..<$0.offset + $0.count], as: UTF8.self)
        }
    }

    // MARK: - Predictions

    package func makeScores() throws(InputError) -> sending Scores {
        Scores(
            sums: try RowSums(input.source, groups: settings.maximumSubword > 0 ? dictionary.words : 0),
            hidden: Array(repeating: 0, count: dimension), nodes: Array(repeating: 0, count: scorer.nodeCount),
            logits: Array(repeating: 0, count: labels.count), probabilities: Array(repeating: 0, count: labels.count))
    }

    /// Scores a text by its rows; what memory that takes stays with `scores`. Without any row the library gives no answer; here the mean is zero
    /// then, and no label is preferred beyond what the loss does of itself. Logits that are not finite mean that the
    /// weights are damaged.
    package func predict(_ ids: [Int], into scores: inout Scores) {
        scores.sums.sum(ids, into: &scores.hidden, group: dictionary.rows(of:into:))
        if !ids.isEmpty {
            let factor = Float(1 / Double(ids.count))
            for index in scores.hidden.indices { scores.hidden[index] *= factor }
        }
        output.multiply(scores.hidden, into: &scores.logits)
        if let outputNorms {
            for label in outputNorms.indices { scores.logits[label] *= outputNorms[label] }
        }
        scorer.score(&scores.logits, nodes: &scores.nodes, into: &scores.probabilities)
    }
}
