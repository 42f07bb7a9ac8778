/// Tokens that are found in the text before it is split into words: `<s>`, `[SEP]` and their like.
struct AddedTokens: Sendable {
    struct Token: Sendable {
        let content: [UInt8]
        let id: Int
        /// Takes the white space before it, behind it.
        let stripsLeft: Bool
        let stripsRight: Bool
        /// Only where no letter, digit or _ is beside it.
        let isSingleWord: Bool

        /// With the settings as Hugging Face's files have them: `lstrip`, `rstrip`, `single_word`.
        init(content: [UInt8], id: Int, _ settings: JSONValue) {
            self.content = content
            self.id = id
            stripsLeft = settings["lstrip"]?.bool ?? false
            stripsRight = settings["rstrip"]?.bool ?? false
            isSingleWord = settings["single_word"]?.bool ?? false
        }
    }

    enum Piece: Equatable {
        case text(Range<Int>)
        case token(Int)
    }

    private let tokens: [Token]
    /// Indices into `tokens` by first byte, longest first.
    private let byFirstByte: [[Int]]

    init(_ tokens: [Token]) {
        self.tokens = tokens.filter { !$0.content.isEmpty }
        var byFirstByte = [[Int]](repeating: [], count: 256)
        for (index, token) in self.tokens.enumerated() { byFirstByte[Int(token.content[0])].append(index) }
        let lengths = self.tokens.map(\.content.count)
        self.byFirstByte = byFirstByte.map { $0.sorted { lengths[$0] > lengths[$1] } }
    }

    /// Leftmost match first, the longest there; the same rules as `AddedVocabulary.find_matches` in `tokenizers`.
    func split(_ text: UnsafeBufferPointer<UInt8>) -> [Piece] {
        var pieces: [Piece] = []
        var unmatched = 0
        var position = 0
        let walk = ScalarWalk(bytes: text)
        while position < text.count {
            guard let token = match(at: position, text) else {
                position += 1
                continue
            }
            var start = position
            var end = position + token.content.count
            position = end
            if token.isSingleWord, isWord(walk.scalar(before: start)) || isWord(walk.scalar(at: end)?.value) { continue }
            if token.stripsLeft {
                while start > unmatched, let before = walk.scalar(before: start), UnicodeClass.isWhitespace(before) {
                    start -= Unicode.Scalar(before).map { UTF8.width($0) } ?? 1
                }
            }
            if token.stripsRight {
                while let (scalar, next) = walk.scalar(at: end), UnicodeClass.isWhitespace(scalar) { end = next }
            }
            if unmatched < start { pieces.append(.text(unmatched..<start)) }
            pieces.append(.token(token.id))
            unmatched = end
            position = max(position, end)
        }
        if unmatched < text.count { pieces.append(.text(unmatched..<text.count)) }
        return pieces
    }

    private func match(at position: Int, _ text: UnsafeBufferPointer<UInt8>) -> Token? {
        for index in byFirstByte[Int(text[position])] {
            let content = tokens[index].content
            if content.count <= text.count - position, content.elementsEqual(text[position..<position + content.count]) {
                return tokens[index]
            }
        }
        return nil
    }

    private func isWord(_ scalar: UInt32?) -> Bool {
        guard let scalar else { return false }
        return UnicodeClass.isLetter(scalar) || UnicodeClass.isNumber(scalar) || scalar == 0x5F
            || UnicodeClass.isNonspacingMark(scalar)
    }
}
