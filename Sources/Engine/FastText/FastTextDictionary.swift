import Foundation

/// A model's words and labels, and the rows that a text stands for. Follows the library's `dictionary.cc`, which names and
/// quirks are from: `getLine`, `computeSubwords`, `addWordNgrams`, `pushHash`.
struct FastTextDictionary: Sendable {
    /// The end of a line. Every text has it behind its last word; a text that has it as a word ends there.
    private static let endOfLine = Array("</s>".utf8)
    private static let labelPrefix = Array("__label__".utf8)

    private struct Entry: Sendable {
        let offset: Int
        let count: Int
    }

    /// Which row a bucket has.
    private enum Buckets: Sendable {
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
    private let file: MappedFile
    private let settings: FastTextSettings
    /// Words, then labels.
    private let entries: [Entry]
    private let table: ProbeTable
    private let buckets: Buckets
    private let bucketCount: FastDivisor
    private let endOfLineEntry: Int?

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
                throw reader.damaged("entry \(index) of the dictionary has type \(type); words (0) come first, then labels (1)")
            }
            if index >= words { counts.append(count) }
            entries.append(Entry(offset: text.lowerBound, count: text.count))
            let word = UnsafeRawBufferPointer(rebasing: reader.file.bytes[text])
            guard table.insert(Self.hash(word), index, isSame: { Self.equal(word, reader.file, entries[$0]) }) else { throw reader.damaged("its dictionary's words were made to have the same hashes") }
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

    private static func equal(_ word: UnsafeRawBufferPointer, _ file: MappedFile, _ entry: Entry) -> Bool {
        entry.count == word.count
            && (word.isEmpty || memcmp(word.baseAddress!, file.bytes.baseAddress! + entry.offset, word.count) == 0)
    }

    // MARK: - Hashes

    private static let emptyHash: UInt32 = 2_166_136_261

    /// FNV-1a, but for a byte from 128 on, which the library extends as a signed one: all released models have it so.
    @inline(__always)
    private static func extend(_ hash: UInt32, _ byte: UInt8) -> UInt32 {
        (hash ^ UInt32(bitPattern: Int32(Int8(bitPattern: byte)))) &* 16_777_619
    }

    private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt32 { bytes.reduce(emptyHash, extend) }

    // MARK: - Texts

    /// The characters that words are split at: zero, tab, newline, vertical tab, form feed, carriage return, space.
    @inline(__always)
    private static func isSpace(_ byte: UInt8) -> Bool {
        let spaces: UInt64 = 1 << 0x00 | 0x1F << 0x09 | 1 << 0x20
        return byte <= 0x20 && spaces >> UInt64(byte) & 1 == 1
    }

    @inline(__always)
    private static func continuesCharacter(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }

    /// The rows that `text` stands for, in the library's order: each word's, with its subwords', then groups of words.
    func walk<Sink: FastTextSink>(_ text: UnsafeBufferPointer<UInt8>, _ sink: inout Sink) {
        // One byte more on both sides, for the signs that subwords have in place of the spaces around their word.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: text.count + 2) { bytes in
            bytes[0] = 0x20
            _ = bytes[1...].update(fromContentsOf: text)
            bytes[text.count + 1] = 0x20
            // So many words at most: every other byte, and the end of the line.
            let capacity = settings.wordNgrams > 1 ? text.count / 2 + 2 : 0
            withUnsafeTemporaryAllocation(of: Int32.self, capacity: capacity) { hashes in
                let count = walkWords(bytes, hashes, &sink)
                walkGroups(UnsafeBufferPointer(rebasing: hashes[..<count]), &sink)
            }
        }
    }

    /// Appends the rows of word `index` and of its subwords.
    func rows(of index: Int, into ids: inout [Int]) {
        ids.append(index)
        guard settings.maximumSubword > 0, index != endOfLineEntry else { return }
        let count = entries[index].count
        var sink = FastTextRowNumbers(ids: ids)
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count + 2) { bytes in
            let word = file.bytes[entries[index].offset..<entries[index].offset + count]
            _ = bytes[1...].update(fromContentsOf: word)
            walkSubwords(1..<count + 1, bytes, &sink)
        }
        ids = sink.ids
    }

    /// A word of the text, where it is and what the table has in its first slot.
    private struct Word {
        var range: Range<Int>
        var hash: UInt32
        var slot: UInt64
    }

    /// Words are looked up so many at a time: each takes three reads of distant memory, which then overlap.
    private static let wordsAtOnce = 16

    /// Returns how many hashes it wrote.
    @inline(__always)
    private func walkWords<Sink: FastTextSink>(
        _ bytes: UnsafeMutableBufferPointer<UInt8>, _ hashes: UnsafeMutableBufferPointer<Int32>, _ sink: inout Sink
    ) -> Int {
        withUnsafeTemporaryAllocation(of: Word.self, capacity: Self.wordsAtOnce) { words in
            var count = 0
            var position = 1
            repeat {
                let met = split(bytes, from: &position, into: words)
                for index in 0..<met { words[index].slot = table.firstSlot(words[index].hash) }
                for index in 0..<met {
                    guard walk(words[index], bytes, hashes, &count, &sink) else {
                        return walkEndOfLine(bytes, hashes, count, &sink)
                    }
                }
            } while position < bytes.count
            return walkEndOfLine(bytes, hashes, count, &sink)
        }
    }

    /// Finds the next words, as many as fit, and their hashes.
    @inline(__always)
    private func split(
        _ bytes: UnsafeMutableBufferPointer<UInt8>, from position: inout Int, into words: UnsafeMutableBufferPointer<Word>
    ) -> Int {
        var count = 0
        while count < words.count {
            while position < bytes.count, Self.isSpace(bytes[position]) { position += 1 }
            guard position < bytes.count else { break }
            let start = position
            var hash = Self.emptyHash
            while !Self.isSpace(bytes[position]) {
                hash = Self.extend(hash, bytes[position])
                position += 1
            }
            words.initializeElement(at: count, to: Word(range: start..<position, hash: hash, slot: 0))
            count += 1
        }
        return count
    }

    /// False where the word ends the line.
    @inline(__always)
    private func walk<Sink: FastTextSink>(
        _ word: Word, _ bytes: UnsafeMutableBufferPointer<UInt8>, _ hashes: UnsafeMutableBufferPointer<Int32>,
        _ count: inout Int, _ sink: inout Sink
    ) -> Bool {
        let text = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[word.range])
        if text.count == 4, text.elementsEqual(Self.endOfLine) { return false }
        let entry = table.find(word.hash, firstSlot: word.slot) { Self.equal(text, file, entries[$0]) }
        if let entry, entry < words {
            sink.append(row: entry, .word(word.range), bytes)
        } else if entry != nil || text.starts(with: Self.labelPrefix) {
            return true
        }
        sink.countWord(word.range)
        if settings.maximumSubword > 0 { walkSubwords(word.range, bytes, &sink) }
        if settings.wordNgrams > 1 {
            hashes[count] = Int32(bitPattern: word.hash)
            count += 1
        }
        return true
    }

    /// Returns how many hashes there are now.
    private func walkEndOfLine<Sink: FastTextSink>(
        _ bytes: UnsafeMutableBufferPointer<UInt8>, _ hashes: UnsafeMutableBufferPointer<Int32>, _ count: Int,
        _ sink: inout Sink
    ) -> Int {
        if let endOfLineEntry {
            guard endOfLineEntry < words else { return count }
            sink.append(row: endOfLineEntry, .endOfLine, bytes)
        }
        sink.countWord(nil)
        guard settings.wordNgrams > 1 else { return count }
        hashes[count] = Int32(bitPattern: Self.endOfLine.withUnsafeBytes(Self.hash))
        return count + 1
    }

    @inline(__always)
    private func walkSubwords<Sink: FastTextSink>(
        _ word: Range<Int>, _ bytes: UnsafeMutableBufferPointer<UInt8>, _ sink: inout Sink
    ) {
        let (first, end) = (word.lowerBound - 1, word.upperBound + 1)
        bytes[first] = UInt8(ascii: "<")
        bytes[end - 1] = UInt8(ascii: ">")
        let (shortest, longest) = (settings.minimumSubword, settings.maximumSubword)
        for start in first..<end where !Self.continuesCharacter(bytes[start]) {
            var hash = Self.emptyHash
            var position = start
            var length = 1
            while position < end, length <= longest {
                repeat {
                    hash = Self.extend(hash, bytes[position])
                    position += 1
                } while position < end && Self.continuesCharacter(bytes[position])
                // "<" and ">" alone are none.
                if length >= shortest, length > 1 || (start > first && position < end) {
                    append(bucket: bucketCount.remainder(of: hash), .subword(start..<position), bytes, &sink)
                }
                length += 1
            }
        }
        bytes[end - 1] = 0x20
    }

    private func walkGroups<Sink: FastTextSink>(_ hashes: UnsafeBufferPointer<Int32>, _ sink: inout Sink) {
        guard settings.wordNgrams > 1 else { return }
        let modulus = UInt64(settings.buckets)
        for first in 0..<hashes.count {
            var hash = UInt64(bitPattern: Int64(hashes[first]))
            for last in first + 1..<max(first + 1, min(hashes.count, first + settings.wordNgrams)) {
                hash = hash &* 116_049_371 &+ UInt64(bitPattern: Int64(hashes[last]))
                append(bucket: UInt32(hash % modulus), .group(first...last), nil, &sink)
            }
        }
    }

    @inline(__always)
    private func append<Sink: FastTextSink>(
        bucket: UInt32, _ source: FastTextSource, _ bytes: UnsafeMutableBufferPointer<UInt8>?, _ sink: inout Sink
    ) {
        switch buckets {
        case .all: sink.append(row: words + Int(bucket), source, bytes)
        case .kept(nil): break
        case .kept(let table?):
            if let row = table.find(bucket, isSame: { _ in true }) { sink.append(row: words + row, source, bytes) }
        }
    }
}

/// Remainders without a division: Lemire, Kaser and Kurz 2019, "Faster remainder by direct computation".
private struct FastDivisor: Sendable {
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

/// What a row stands for; bytes are counted as `walk` has them.
enum FastTextSource {
    case word(Range<Int>)
    case endOfLine
    case subword(Range<Int>)
    /// The words from and to these, as counted by `countWord`.
    case group(ClosedRange<Int>)
}

/// Who listens to a walk over a text.
protocol FastTextSink {
    /// A word that groups are made of, whether it has a row or not; nil for the end of the line.
    mutating func countWord(_ range: Range<Int>?)
    mutating func append(row: Int, _ source: FastTextSource, _ bytes: UnsafeMutableBufferPointer<UInt8>?)
}

/// Takes down the rows' numbers.
struct FastTextRowNumbers: FastTextSink {
    var ids: [Int]

    func countWord(_ range: Range<Int>?) {}

    @inline(__always)
    mutating func append(row: Int, _ source: FastTextSource, _ bytes: UnsafeMutableBufferPointer<UInt8>?) {
        ids.append(row)
    }
}
