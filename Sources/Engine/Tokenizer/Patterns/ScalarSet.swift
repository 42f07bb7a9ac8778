/// The scalars that one place of a regular expression matches: `a`, `\s`, `[^\r\n\p{L}]`.
struct ScalarSet: Sendable {
    enum Class: Sendable { case space, digit, word, letter, number, mark, punctuation, tweetDigit, tweetWord }

    private var ranges: [ClosedRange<UInt32>] = []
    private var classes: [(Class, isNegated: Bool)] = []
    var isNegated = false
    /// The answers for ASCII, which most scalars are.
    private var ascii: (UInt64, UInt64) = (0, 0)

    mutating func insert(_ range: ClosedRange<UInt32>) { ranges.append(range) }

    mutating func insert(_ kind: Class, isNegated: Bool) { classes.append((kind, isNegated)) }

    /// Both cases of ASCII letters, with what folds to them beyond ASCII: ſ and the Kelvin sign.
    mutating func ignoreCase() {
        for range in ranges {
            for upper in UInt32(0x41)...0x5A where range.contains(upper) || range.contains(upper | 0x20) {
                ranges.append(upper...upper)
                ranges.append((upper | 0x20)...(upper | 0x20))
                if upper == 0x53 { ranges.append(0x17F...0x17F) }
                if upper == 0x4B { ranges.append(0x212A...0x212A) }
            }
            if range.contains(0x17F) { ranges += [0x53...0x53, 0x73...0x73] }
            if range.contains(0x212A) { ranges += [0x4B...0x4B, 0x6B...0x6B] }
        }
    }

    /// Whether ignoring the case would need more than `ignoreCase` knows.
    var hasCaseBeyondASCII: Bool {
        ranges.contains { range in
            range.upperBound >= 0x80 && range.count < 0x1000
                && range.contains { value in
                    value >= 0x80 && value != 0x17F && value != 0x212A
                        && (Unicode.Scalar(value)?.properties.changesWhenCaseFolded == true
                            || Unicode.Scalar(value)?.properties.changesWhenUppercased == true)
                }
        }
    }

    mutating func complete() {
        for scalar in UInt32(0)..<64 where finds(scalar) { ascii.0 |= 1 << UInt64(scalar) }
        for scalar in UInt32(64)..<128 where finds(scalar) { ascii.1 |= 1 << UInt64(scalar - 64) }
    }

    func contains(_ scalar: UInt32) -> Bool {
        if scalar < 64 { return ascii.0 >> UInt64(scalar) & 1 == 1 }
        if scalar < 128 { return ascii.1 >> UInt64(scalar - 64) & 1 == 1 }
        return finds(scalar)
    }

    private func finds(_ scalar: UInt32) -> Bool {
        let found =
            ranges.contains { $0.contains(scalar) }
            || classes.contains { kind, isNegated in
                let isMember =
                    switch kind {
                    case .space: UnicodeClass.isWhitespace(scalar)
                    case .digit: UnicodeClass.isRegexDigit(scalar)
                    case .word: UnicodeClass.isRegexWord(scalar)
                    case .letter: UnicodeClass.isLetter(scalar)
                    case .number: UnicodeClass.isNumber(scalar)
                    case .mark: UnicodeClass.isRegexMark(scalar)
                    case .punctuation: UnicodeClass.isRegexPunctuation(scalar)
                    case .tweetDigit: UnicodeClass.isTweetDigit(scalar)
                    case .tweetWord: UnicodeClass.isTweetWord(scalar)
                    }
                return isMember != isNegated
            }
        return found != isNegated
    }
}
