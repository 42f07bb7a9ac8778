import Foundation

/// A model's words and labels, and the rows that a text stands for. Follows the library's `dictionary.cc`, which names and
/// quirks are from: `getLine`, `computeSubwords`, `addWordNgrams`, `pushHash`.
struct FastTextDictionary: Sendable {
    /// The end of a line. Every text has it behind its last word; a text that has it as a word ends there.
    static let endOfLine = Array("</s>".utf8)
    static let labelPrefix = Array("__label__".utf8)

    struct Entry: Sendable {
        let offset: Int
        let count: Int
    }

    /// Which row a bucket has.
    enum Buckets: Sendable {
        /// The first behind the words' rows, and so on.
        case all
        /// `quantize(cutoff:)` kept some of them; none where there is no table.
        case kept(ProbeTable?)
    }

    /// How often each label stood in the training data.
    let labelCounts: [Int]
    let labels: [String]
    /// Rows 0 ..< `words` are those of the words, in order; then come the buckets'.
    let words: Int
    /// How many rows a text can ask for.
    let rows: Int
    /// Whether buckets were left out, which only quantized models may.
    let isPruned: Bool
    let file: MappedFile
    let settings: FastTextSettings
    /// Words, then labels.
    let entries: [Entry]
    let table: ProbeTable
    let buckets: Buckets
    let bucketCount: FastDivisor
    let endOfLineEntry: Int?

    init(_ reader: inout FastTextReader, _ settings: FastTextSettings) throws(InputError) {
        file = reader.file
        self.settings = settings
        let size = try reader.integer(Int32.self, "the dictionary's size")
        let words = try reader.integer(Int32.self, "the number of words")
        let labelCount = try reader.integer(Int32.self, "the number of labels")
        _ = try reader.integer(Int64.self, "the number of tokens")
        let kept = try reader.integer(Int64.self, "the number of kept buckets")
        guard words >= 0, labelCount >= 0, size == words + labelCount else {
            throw reader.damaged("its dictionary has \(size) entries, but \(words) words and \(labelCount) labels")
        }
        guard labelCount > 0 else { throw reader.damaged("its dictionary has no labels") }
        // A text, its zero, eight bytes for the count, one for the type: before anything is allocated.
        guard size <= reader.left / 10 else { throw reader.truncated("a dictionary of \(size) entries", 10 * size) }

        var entries: [Entry] = []
        var counts: [Int] = []
        var table = ProbeTable(count: size)
        entries.reserveCapacity(size)
        for index in 0..<size {
            let text = try reader.string("entry \(index) of the dictionary")
            let count = try reader.integer(Int64.self, "the count of entry \(index)")
            let type = try reader.integer(UInt8.self, "the type of entry \(index)")
            guard type == (index < words ? 0 : 1) else {
                throw reader.damaged(
                    "entry \(index) of the dictionary has type \(type); words (0) come first, then labels (1)")
            }
            if index >= words { counts.append(count) }
            entries.append(Entry(offset: text.lowerBound, count: text.count))
            let word = UnsafeRawBufferPointer(rebasing: reader.file.bytes[text])
            guard table.insert(Self.hash(word), index, isSame: { Self.equal(word, reader.file, entries[$0]) }) else {
                throw reader.damaged("its dictionary's words were made to have the same hashes")
            }
        }
        self.words = words
        self.entries = entries
        self.table = table
        labelCounts = counts
        labels = try Self.labels(entries[words...], reader)
        isPruned = kept >= 0
        bucketCount = FastDivisor(UInt32(max(1, settings.buckets)))
        (buckets, rows) = try Self.buckets(&reader, kept: kept, words: words, settings)
        endOfLineEntry = Self.endOfLine.withUnsafeBytes { word in
            table.find(Self.hash(word)) { Self.equal(word, reader.file, entries[$0]) }
        }
    }

    private static func labels(_ entries: ArraySlice<Entry>, _ reader: FastTextReader) throws(InputError) -> [String] {
        let texts = entries.map { reader.file.bytes[$0.offset..<$0.offset + $0.count] }
        let isPrefixed = texts.allSatisfy { $0.count > labelPrefix.count && $0.starts(with: labelPrefix) }
        var labels: [String] = []
        var known: Set<String> = []
        for text in texts {
            guard let label = String(validating: isPrefixed ? text.dropFirst(labelPrefix.count) : text, as: UTF8.self) else {
                throw reader.damaged("label \(labels.count) is not UTF-8")
            }
            guard known.insert(label).inserted else { throw reader.damaged("label \"\(label)\" stands twice in it") }
            labels.append(label)
        }
        return labels
    }

    private static func buckets(
        _ reader: inout FastTextReader, kept: Int, words: Int, _ settings: FastTextSettings
    ) throws(InputError) -> (Buckets, rows: Int) {
        guard kept >= 0 else { return (.all, words + (settings.usesBuckets ? settings.buckets : 0)) }
        let pairs = try reader.block(kept, of: 8, "the list of \(kept) kept buckets")
        // Hashes are of 32 bits, and a table of more would not tell them apart.
        guard kept < 1 << 30 else { throw reader.damaged("it keeps \(kept) buckets") }
        guard kept > 0 else { return (.kept(nil), words) }
        var table = ProbeTable(count: kept)
        var rows = words
        for index in 0..<kept {
            let bucket = pairs.littleEndian(Int32.self, at: 8 * index)
            let row = Int(pairs.littleEndian(Int32.self, at: 8 * index + 4))
            guard row >= 0 else { throw reader.damaged("kept bucket \(bucket) has row \(row)") }
            rows = max(rows, words + row + 1)
            guard table.insert(UInt32(bitPattern: bucket), row, isSame: { _ in true }) else {
                throw reader.damaged("its kept buckets were made to have the same hashes")
            }
        }
        return (.kept(table), rows)
    }

    static func equal(_ word: UnsafeRawBufferPointer, _ file: MappedFile, _ entry: Entry) -> Bool {
        entry.count == word.count
            && (word.isEmpty || memcmp(word.baseAddress!, file.bytes.baseAddress! + entry.offset, word.count) == 0)
    }

    // MARK: - Hashes

    static let emptyHash: UInt32 = 2_166_136_261

    /// FNV-1a, but for a byte from 128 on, which the library extends as a signed one: all released models have it so.
    @inline(__always)
    static func extend(_ hash: UInt32, _ byte: UInt8) -> UInt32 {
        (hash ^ UInt32(bitPattern: Int32(Int8(bitPattern: byte)))) &* 16_777_619
    }

    static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt32 { bytes.reduce(emptyHash, extend) }
}

/// Remainders without a division: Lemire, Kaser and Kurz 2019, "Faster remainder by direct computation".
struct FastDivisor: Sendable {
    let divisor: UInt64
    /// 2⁶⁴ / divisor, rounded up.
    let inverse: UInt64

    init(_ divisor: UInt32) {
        self.divisor = UInt64(divisor)
        inverse = .max / self.divisor &+ 1
    }

    @inline(__always)
    func remainder(of x: UInt32) -> UInt32 {
        UInt32(truncatingIfNeeded: (inverse &* UInt64(x)).multipliedFullWidth(by: divisor).high)
    }
}
