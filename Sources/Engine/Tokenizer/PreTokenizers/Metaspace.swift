/// `Metaspace`: SentencePiece's ▁ for each space, before the text, too, and a piece from each ▁ to the next.
struct Metaspace: PreTokenizer {
    enum PrependScheme: String, CaseIterable, Sendable { case always, first, never }

    let replacement: [UInt8]
    let prependScheme: PrependScheme
    let splits: Bool

    func split(_ text: inout StagedText) {
        let lead = replacement[0]
        text.rewritePieces { piece, isFirst, output, pieces in
            var start = output.count
            let prepends = prependScheme == .always || prependScheme == .first && isFirst
            if prepends, piece.first != UInt8(ascii: " "), !piece.starts(with: replacement) {
                output.append(contentsOf: replacement)
            }
            var copied = 0
            var position = 0
            while position < piece.count {
                let byte = piece[position]
                let isSpace = byte == UInt8(ascii: " ")
                guard isSpace || byte == lead && piece[position...].starts(with: replacement) else {
                    position += 1
                    continue
                }
                output.append(contentsOf: piece[copied..<position])
                if splits, start < output.count {
                    pieces.append(start..<output.count)
                    start = output.count
                }
                output.append(contentsOf: replacement)
                position += isSpace ? 1 : replacement.count
                copied = position
            }
            output.append(contentsOf: piece[copied...])
            if start < output.count { pieces.append(start..<output.count) }
        }
    }
}
