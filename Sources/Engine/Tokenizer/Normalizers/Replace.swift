/// `Replace`: every match of a pattern by a text.
struct Replace: Normalizer {
    let pattern: TextPattern
    let content: [UInt8]

    func normalize(_ text: inout StagedText) {
        var keepsStart = true
        text.rewrite { text, output in
            var end = 0
            pattern.forEachMatch(in: text, 0..<text.count) { match in
                output.append(contentsOf: text[end..<match.lowerBound])
                output.append(contentsOf: content)
                end = match.upperBound
                // What takes the place of one scalar stands where it stood; of several, where the last one did.
                if match.lowerBound == 0, !match.isEmpty {
                    keepsStart = !content.isEmpty && ScalarWalk(bytes: text).scalar(at: 0)?.next == match.upperBound
                }
            }
            output.append(contentsOf: text[end...])
        }
        text.isAtTextStart = text.isAtTextStart && keepsStart
    }
}
