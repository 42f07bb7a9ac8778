/// `BertPreTokenizer`: words between white space; each punctuation character alone.
struct BertPreTokenizer: PreTokenizer {
    func split(_ text: inout StagedText) { text.splitWords(where: UnicodeClass.isBertPunctuation) }
}

/// `WhitespaceSplit`: what stands between white space.
struct WhitespaceSplit: PreTokenizer {
    func split(_ text: inout StagedText) { text.splitWords { _ in false } }
}

extension StagedText {
    /// Leaves what stands between white space, and apart from that each scalar that `isWord` holds of.
    @inline(__always)
    fileprivate mutating func splitWords(where isWord: (UInt32) -> Bool) {
        split { text, piece, pieces in
            let walk = ScalarWalk(bytes: text)
            var start = piece.lowerBound
            var position = start
            while position < piece.upperBound, let (scalar, next) = walk.scalar(at: position) {
                let isSpace = UnicodeClass.isWhitespace(scalar)
                if isSpace || isWord(scalar) {
                    if start < position { pieces.append(start..<position) }
                    if !isSpace { pieces.append(position..<next) }
                    start = next
                }
                position = next
            }
            if start < piece.upperBound { pieces.append(start..<piece.upperBound) }
        }
    }
}

/// `Whitespace`: runs of word characters and runs of others, `\w+|[^\w\s]+`.
struct Whitespace: PreTokenizer {
    func split(_ text: inout StagedText) {
        text.split { text, piece, pieces in
            let walk = ScalarWalk(bytes: text)
            var start = piece.lowerBound
            var position = start
            var kind = 0  // 1 in a word, 2 in others, 0 in white space
            while position < piece.upperBound, let (scalar, next) = walk.scalar(at: position) {
                let found = UnicodeClass.isWord(scalar) ? 1 : UnicodeClass.isWhitespace(scalar) ? 0 : 2
                if found != kind {
                    if kind != 0 { pieces.append(start..<position) }
                    start = position
                    kind = found
                }
                position = next
            }
            if kind != 0 { pieces.append(start..<piece.upperBound) }
        }
    }
}

/// `Digits`: runs of numbers, or each number by itself.
struct Digits: PreTokenizer {
    let areIndividual: Bool

    func split(_ text: inout StagedText) {
        text.split(areIndividual ? .isolated : .contiguous, where: UnicodeClass.isNumeric)
    }
}

/// `Punctuation`: what BERT takes for it.
struct Punctuation: PreTokenizer {
    let behavior: SplitBehavior

    func split(_ text: inout StagedText) { text.split(behavior, where: UnicodeClass.isBertPunctuation) }
}

/// `CharDelimiterSplit`: what stands between a character.
struct CharDelimiterSplit: PreTokenizer {
    let delimiter: UInt32

    func split(_ text: inout StagedText) { text.split(.removed) { $0 == delimiter } }
}

/// `Split`: at the matches of a pattern, or, inverted, between them.
struct Split: PreTokenizer {
    let pattern: TextPattern
    let behavior: SplitBehavior
    let isInverted: Bool

    func split(_ text: inout StagedText) {
        text.split { text, piece, pieces in
            var delimiters: [Range<Int>] = []
            pattern.forEachMatch(in: text, piece) { delimiters.append($0) }
            behavior.append(piece, delimiters: delimiters, inverted: isInverted, to: &pieces)
        }
    }
}
