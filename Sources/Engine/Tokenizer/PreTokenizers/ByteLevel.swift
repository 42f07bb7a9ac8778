/// GPT-2's alphabet of 256 printable characters, one a byte, and its splitting of text into words.
enum ByteLevel {
    /// The UTF-8 of the character that stands for `byte`: itself where it is printable, else one from U+0100 on.
    static func symbol(_ byte: UInt8) -> [UInt8] { symbols[Int(byte)] }

    private static let symbols: [[UInt8]] = {
        var replacement: UInt32 = 0x100
        return (UInt8.min...UInt8.max).map { byte in
            let isPrintable = 0x21...0x7E ~= byte || 0xA1...0xAC ~= byte || 0xAE...0xFF ~= byte
            let scalar = isPrintable ? UInt32(byte) : replacement
            if !isPrintable { replacement += 1 }
            return Array(String(Unicode.Scalar(scalar)!).utf8)
        }
    }()

    private enum Kind { case letter, number, other, space }

    private static func kind(_ scalar: UInt32) -> Kind {
        if UnicodeClass.isLetter(scalar) { return .letter }
        if UnicodeClass.isWhitespace(scalar) { return .space }
        return UnicodeClass.isNumber(scalar) ? .number : .other
    }

    /// Where the word that begins at `start` ends, by GPT-2's pattern:
    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    static func endOfWord(_ text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        let walk = ScalarWalk(bytes: text)
        if text[start] == UInt8(ascii: "'") {
            for ending in contractions where text[(start + 1)...].starts(with: ending) { return start + 1 + ending.count }
        }
        guard let (first, afterFirst) = walk.scalar(at: start) else { return start }
        var wordKind = kind(first)
        var position = afterFirst
        if first == 0x20, let (second, afterSecond) = walk.scalar(at: afterFirst), kind(second) != .space {
            wordKind = kind(second)
            position = afterSecond
        }
        var lastStart = start
        while let (scalar, next) = walk.scalar(at: position), kind(scalar) == wordKind {
            lastStart = position
            position = next
        }
        // A run of white space leaves its last character to the word that follows.
        if wordKind == .space, position < text.count, lastStart > start { return lastStart }
        return position
    }

    private static let contractions: [[UInt8]] = ["s", "t", "re", "ve", "m", "ll", "d"].map { Array($0.utf8) }
}
