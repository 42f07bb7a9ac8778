/// WordPiece (Schuster and Nakajima 2012), as BERT has it.
struct WordPiece: TokenizerModel {
    let vocabulary: TokenTable
    let unknownID: Int
    /// A longer word, in characters, is unknown as a whole.
    let maximumWordLength: Int
    /// What marks a piece that does not begin a word: `##`.
    let continuation: [UInt8]

    func id(of token: [UInt8]) -> Int? { vocabulary[token] }
    var entries: [(token: [UInt8], id: Int)] { vocabulary.entries }
    var count: Int { vocabulary.count }
    var unknownToken: Int? { unknownID }
    var largestID: Int { vocabulary.largestID }

    /// The longest token first, from left to right; unknown as a whole where that gets stuck.
    func encode(_ word: UnsafeBufferPointer<UInt8>, into ids: inout [Int]) {
        let first = ids.count
        var length = 0
        for byte in word where byte & 0xC0 != 0x80 { length += 1 }
        guard length <= maximumWordLength else { return ids.append(unknownID) }
        var start = 0
        while start < word.count {
            guard let (id, end) = longestPiece(of: word, from: start) else {
                ids.removeSubrange(first...)
                return ids.append(unknownID)
            }
            ids.append(id)
            start = end
        }
    }

    private func longestPiece(of word: UnsafeBufferPointer<UInt8>, from start: Int) -> (id: Int, end: Int)? {
        let prefix = start == 0 ? [] : continuation
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: prefix.count + word.count - start) { piece in
            withUnsafeTemporaryAllocation(of: UInt64.self, capacity: word.count - start) { hashes in
                let rest = piece[..<prefix.count].initialize(fromContentsOf: prefix)
                _ = piece[rest...].initialize(fromContentsOf: word[start...])
                var hash = TokenTable.hash(prefix)
                for index in start..<word.count {
                    hash = TokenTable.extend(hash, word[index])
                    hashes.initializeElement(at: index - start, to: hash)
                }
                for end in (start + 1...word.count).reversed() {
                    let token = UnsafeBufferPointer(rebasing: piece[..<(prefix.count + end - start)])
                    if let id = vocabulary.id(of: token, hash: hashes[end - start - 1]) { return (id, end) }
                }
                return nil
            }
        }
    }
}
