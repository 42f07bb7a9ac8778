/// What the tokenizers need to know of a scalar. The tables come from the `tokenizers` library itself (see
/// tools/make_unicode_tables.py), not from the Unicode version of a Swift runtime; only lower case, which does not change
/// for a character once it has it, and graphemes are the runtime's.
enum UnicodeClass {
    /// `\p{L}` in the byte-level pattern.
    static func isLetter(_ scalar: UInt32) -> Bool {
        scalar < 0x80 ? 0x61...0x7A ~= scalar | 0x20 : contains(UnicodeTables.letters, scalar)
    }

    /// `\p{N}` in the byte-level pattern.
    static func isNumber(_ scalar: UInt32) -> Bool {
        scalar < 0x80 ? 0x30...0x39 ~= scalar : contains(UnicodeTables.numbers, scalar)
    }

    /// White_Space, which has not changed since Unicode 6.3.
    static func isWhitespace(_ scalar: UInt32) -> Bool {
        if 0x21..<0x80 ~= scalar { return false }
        return switch scalar {
        case 0x09...0x0D, 0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    /// What Python's str.isspace() holds of: separators among the controls, too.
    static func isPythonSpace(_ scalar: UInt32) -> Bool { isWhitespace(scalar) || 0x1C...0x1F ~= scalar }

    /// `\w` and `\d` of Python's package regex.
    static func isTweetWord(_ scalar: UInt32) -> Bool { contains(TweetTables.words, scalar) }
    static func isTweetDigit(_ scalar: UInt32) -> Bool { contains(TweetTables.digits, scalar) }

    /// Deleted by BERT's text cleaning: controls, formats, private use, U+FFFD.
    static func isRemovedByBert(_ scalar: UInt32) -> Bool { contains(UnicodeTables.bertRemoved, scalar) }

    /// A word of its own to BERT.
    static func isBertPunctuation(_ scalar: UInt32) -> Bool {
        if scalar < 0x80 {
            return 0x21...0x2F ~= scalar || 0x3A...0x40 ~= scalar || 0x5B...0x60 ~= scalar || 0x7B...0x7E ~= scalar
        }
        return contains(UnicodeTables.bertPunctuation, scalar)
    }

    /// Deleted by StripAccents.
    static func isCombiningMark(_ scalar: UInt32) -> Bool {
        scalar >= 0x300 && contains(UnicodeTables.combiningMarks, scalar)
    }

    /// A digit, number or numeral to Digits.
    static func isNumeric(_ scalar: UInt32) -> Bool {
        scalar < 0x80 ? 0x30...0x39 ~= scalar : contains(UnicodeTables.numeric, scalar)
    }

    /// `\w` to Whitespace and beside added tokens.
    static func isWord(_ scalar: UInt32) -> Bool {
        scalar < 0x80
            ? 0x61...0x7A ~= scalar | 0x20 || 0x30...0x39 ~= scalar || scalar == 0x5F : contains(UnicodeTables.words, scalar)
    }

    /// `\w`, `\d`, `\p{M}` and `\p{P}` in a tokenizer.json's regular expression.
    static func isRegexWord(_ scalar: UInt32) -> Bool { contains(UnicodeTables.regexWords, scalar) }
    static func isRegexDigit(_ scalar: UInt32) -> Bool { contains(UnicodeTables.regexDigits, scalar) }
    static func isRegexMark(_ scalar: UInt32) -> Bool { contains(UnicodeTables.regexMarks, scalar) }
    static func isRegexPunctuation(_ scalar: UInt32) -> Bool { contains(UnicodeTables.regexPunctuation, scalar) }

    /// An accent, once decomposed.
    static func isNonspacingMark(_ scalar: UInt32) -> Bool {
        scalar >= 0x300 && contains(UnicodeTables.nonspacingMarks, scalar)
    }

    /// The CJK blocks that BERT splits into single characters (google-research/bert, tokenization.py).
    static func isChinese(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F,
            0x2B920...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F:
            true
        default: false
        }
    }

    /// Binary search in sorted inclusive ranges [low, high, low, high, …].
    private static func contains(_ ranges: [UInt32], _ scalar: UInt32) -> Bool {
        var low = 0
        var high = ranges.count / 2
        while low < high {
            let middle = (low + high) / 2
            if scalar > ranges[2 * middle + 1] {
                low = middle + 1
            } else if scalar < ranges[2 * middle] {
                high = middle
            } else {
                return true
            }
        }
        return false
    }
}

/// Scalars of valid UTF-8, with where they stand.
struct ScalarWalk {
    let bytes: UnsafeBufferPointer<UInt8>

    /// The scalar at `position` and where the next one begins; nil at the end.
    @inline(__always)
    func scalar(at position: Int) -> (value: UInt32, next: Int)? {
        guard position < bytes.count else { return nil }
        let first = UInt32(bytes[position])
        return first < 0x80 ? (first, position + 1) : longer(first, position)
    }

    private func longer(_ first: UInt32, _ position: Int) -> (value: UInt32, next: Int) {
        func tail(_ offset: Int) -> UInt32 {
            position + offset < bytes.count ? UInt32(bytes[position + offset] & 0x3F) : 0
        }
        switch first {
        case 0..<0xE0: return ((first & 0x1F) << 6 | tail(1), min(position + 2, bytes.count))
        case 0..<0xF0: return ((first & 0x0F) << 12 | tail(1) << 6 | tail(2), min(position + 3, bytes.count))
        default:
            return ((first & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), min(position + 4, bytes.count))
        }
    }

    /// The scalar that ends before `position`, nil at the start.
    func scalar(before position: Int) -> UInt32? {
        guard position > 0 else { return nil }
        var start = position - 1
        while start > 0, bytes[start] & 0xC0 == 0x80 { start -= 1 }
        return scalar(at: start)?.value
    }
}
