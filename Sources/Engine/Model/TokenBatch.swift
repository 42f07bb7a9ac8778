/// Several texts' token ids, one behind the other without padding.
package struct TokenBatch: Sendable {
    package let ids: [Int]
    /// Each text's rows in `ids`; none is empty.
    package let sequences: [Range<Int>]

    package init(_ texts: [[Int]]) {
        precondition(texts.allSatisfy { !$0.isEmpty })
        ids = Array(texts.joined())
        var ranges: [Range<Int>] = []
        for text in texts {
            let start = ranges.last?.upperBound ?? 0
            ranges.append(start..<start + text.count)
        }
        sequences = ranges
    }
}
