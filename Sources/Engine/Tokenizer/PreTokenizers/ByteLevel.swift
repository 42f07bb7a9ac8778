/// `ByteLevel`: GPT-2's splitting of text into words, and its alphabet of 256 printable characters, one a byte.
struct ByteLevel: PreTokenizer {
    let addsPrefixSpace: Bool
    let usesPattern: Bool

    func split(_ text: inout StagedText) {
        text.rewritePieces { piece, _, output, pieces in
            if addsPrefixSpace, piece.first != UInt8(ascii: " ") {
                (CollectionOfOne(UInt8(ascii: " ")) + Array(piece)).withUnsafeBufferPointer { append($0, &output, &pieces) }
            } else {
                append(piece, &output, &pieces)
            }
        }
    }

    private func append(_ text: UnsafeBufferPointer<UInt8>, _ output: inout [UInt8], _ pieces: inout [Range<Int>]) {
        var position = 0
        while position < text.count {
            let end = usesPattern ? Self.endOfWord(text, position..<text.count) : text.count
            let start = output.count
            for byte in text[position..<end] { Self.append(byte, to: &output) }
            pieces.append(start..<output.count)
            position = end
        }
    }

    /// Appends the UTF-8 of the character that stands for `byte`: itself where it is printable, else one from U+0100 on.
    static func append(_ byte: UInt8, to output: inout [UInt8]) {
        if 0x21...0x7E ~= byte { return output.append(byte) }
        output.append(scalar: scalars[Int(byte)])
    }

    /// The UTF-8 of the character that stands for `byte`.
    static func symbol(_ byte: UInt8) -> [UInt8] {
        var symbol: [UInt8] = []
        append(byte, to: &symbol)
        return symbol
    }

    private static let scalars: [UInt32] = {
        var replacement: UInt32 = 0x100
        return (UInt8.min...UInt8.max).map { byte in
            let isPrintable = 0x21...0x7E ~= byte || 0xA1...0xAC ~= byte || 0xAE...0xFF ~= byte
            defer { if !isPrintable { replacement += 1 } }
            return isPrintable ? UInt32(byte) : replacement
        }
    }()

    private enum Kind { case letter, number, other, space }

    private static func kind(_ scalar: UInt32) -> Kind {
        if UnicodeClass.isLetter(scalar) { return .letter }
        if UnicodeClass.isWhitespace(scalar) { return .space }
        return UnicodeClass.isNumber(scalar) ? .number : .other
    }

    static let pattern = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    /// Where the word that begins at `range`'s start ends, by GPT-2's `pattern`.
    static func endOfWord(_ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> Int {
        let walk = ScalarWalk(bytes: text)
        let start = range.lowerBound
        if text[start] == UInt8(ascii: "'") {
            let rest = text[(start + 1)..<range.upperBound]
            for ending in contractions where rest.starts(with: ending) { return start + 1 + ending.count }
        }
        guard let (first, afterFirst) = walk.scalar(at: start) else { return range.upperBound }
        var wordKind = kind(first)
        var position = afterFirst
        if first == 0x20, position < range.upperBound, let (second, afterSecond) = walk.scalar(at: position),
            kind(second) != .space
        {
            wordKind = kind(second)
            position = afterSecond
        }
        var lastStart = start
        while position < range.upperBound, let (scalar, next) = walk.scalar(at: position), kind(scalar) == wordKind {
            lastStart = position
            position = next
        }
        // A run of white space leaves its last character to the word that follows.
        if wordKind == .space, position < range.upperBound, lastStart > start { return lastStart }
        return min(position, range.upperBound)
    }

    private static let contractions: [[UInt8]] = ["s", "t", "re", "ve", "m", "ll", "d"].map { Array($0.utf8) }
}
