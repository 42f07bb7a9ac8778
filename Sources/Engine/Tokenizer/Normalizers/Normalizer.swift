/// A stage that rewrites the text before it is split: `normalizer` of a tokenizer.json.
protocol Normalizer: Sendable {
    func normalize(_ text: inout StagedText)
}

/// One after the other.
struct NormalizerSequence: Normalizer {
    let normalizers: [any Normalizer]

    func normalize(_ text: inout StagedText) {
        for normalizer in normalizers { normalizer.normalize(&text) }
    }
}

extension StagedText {
    /// Each scalar as `replacement` has it; nil for one that goes.
    mutating func map(_ replacement: (UInt32) -> UInt32?) {
        var keepsStart = true
        rewrite { text, output in
            output.reserveCapacity(text.count)
            let walk = ScalarWalk(bytes: text)
            var position = 0
            while let (scalar, next) = walk.scalar(at: position) {
                if let replaced = replacement(scalar) {
                    if output.isEmpty { keepsStart = position == 0 }
                    output.append(scalar: replaced)
                }
                position = next
            }
        }
        isAtTextStart = isAtTextStart && keepsStart
    }
}
