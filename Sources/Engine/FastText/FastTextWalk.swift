extension FastTextDictionary {
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
        var sink = FastTextRowNumbers(taking: &ids)
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
    private(set) var ids: [Int]

    /// Goes on behind what `ids` has, and leaves it empty: with two owners, the array would be copied.
    init(taking ids: inout [Int]) {
        self.ids = ids
        ids = []
    }

    func countWord(_ range: Range<Int>?) {}

    @inline(__always)
    mutating func append(row: Int, _ source: FastTextSource, _ bytes: UnsafeMutableBufferPointer<UInt8>?) {
        ids.append(row)
    }
}
