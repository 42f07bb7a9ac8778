/// The words of tokenizers that are written in Python: `\S+\n?`.
struct PythonWords: PreTokenizer {
    func split(_ text: inout StagedText) {
        text.split { text, piece, pieces in
            let walk = ScalarWalk(bytes: text)
            var start: Int?
            var position = piece.lowerBound
            while position < piece.upperBound, let (scalar, next) = walk.scalar(at: position) {
                if UnicodeClass.isPythonSpace(scalar) {
                    if let first = start { pieces.append(first..<(scalar == 0x0A ? next : position)) }
                    start = nil
                } else if start == nil {
                    start = position
                }
                position = next
            }
            if let start { pieces.append(start..<piece.upperBound) }
        }
    }
}
