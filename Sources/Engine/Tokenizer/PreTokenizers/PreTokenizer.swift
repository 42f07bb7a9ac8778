/// A stage that cuts the normalized text into the pieces that the model sees: `pre_tokenizer` of a tokenizer.json.
protocol PreTokenizer: Sendable {
    func split(_ text: inout StagedText)
}

/// One after the other, each within the pieces of the one before.
struct PreTokenizerSequence: PreTokenizer {
    let preTokenizers: [any PreTokenizer]

    func split(_ text: inout StagedText) {
        for preTokenizer in preTokenizers { preTokenizer.split(&text) }
    }
}

/// What becomes of a delimiter that a pre-tokenizer finds.
enum SplitBehavior: String, CaseIterable, Sendable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"

    /// Cuts `whole` at its delimiters, which ascend.
    func append(_ whole: Range<Int>, delimiters: [Range<Int>], inverted: Bool = false, to pieces: inout [Range<Int>]) {
        var parts: [(range: Range<Int>, isDelimiter: Bool)] = []
        var end = whole.lowerBound
        for delimiter in delimiters {
            if end != delimiter.lowerBound { parts.append((end..<delimiter.lowerBound, inverted)) }
            parts.append((delimiter, !inverted))
            end = delimiter.upperBound
        }
        if end != whole.upperBound { parts.append((end..<whole.upperBound, inverted)) }
        let first = pieces.count
        var previous = false
        switch self {
        case .removed: pieces += parts.lazy.filter { !$0.isDelimiter }.map(\.range)
        case .isolated: pieces += parts.lazy.map(\.range)
        case .contiguous, .mergedWithPrevious:
            for (range, isDelimiter) in parts {
                let joins = self == .contiguous ? isDelimiter == previous : isDelimiter && !previous
                if joins, pieces.count > first {
                    pieces[pieces.count - 1] = pieces[pieces.count - 1].lowerBound..<range.upperBound
                } else {
                    pieces.append(range)
                }
                previous = isDelimiter
            }
        case .mergedWithNext:
            var reversed: [Range<Int>] = []
            for (range, isDelimiter) in parts.reversed() {
                if isDelimiter, !previous, let next = reversed.last {
                    reversed[reversed.count - 1] = range.lowerBound..<next.upperBound
                } else {
                    reversed.append(range)
                }
                previous = isDelimiter
            }
            pieces += reversed.reversed()
        }
        pieces.removeAll { $0.isEmpty }
    }
}

extension StagedText {
    /// Cuts each piece at the scalars that `isDelimiter` holds of.
    mutating func split(_ behavior: SplitBehavior, where isDelimiter: (UInt32) -> Bool) {
        split { text, piece, pieces in
            let walk = ScalarWalk(bytes: text)
            var delimiters: [Range<Int>] = []
            var position = piece.lowerBound
            while position < piece.upperBound, let (scalar, next) = walk.scalar(at: position) {
                if isDelimiter(scalar) { delimiters.append(position..<next) }
                position = next
            }
            behavior.append(piece, delimiters: delimiters, to: &pieces)
        }
    }
}
