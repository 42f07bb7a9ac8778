/// fastBPE, as BERTweet and PhoBERT have it: a word's last character carries `</w>`, a token that does not end the word
/// ends in `@@`.
struct FastBPE: TokenizerModel {
    let vocabulary: TokenTable
    let unknownID: Int
    /// What merges are made of and make.
    private let symbols: TokenTable
    private let merges: MergeTable
    private static let wordEnd = Array("</w>".utf8)
    private static let continuation = Array("@@".utf8)

    /// - Parameter merges: the strongest first; of a pair that stands twice the last one counts.
    init(vocabulary: TokenTable, unknownID: Int, merges pairs: [(left: [UInt8], right: [UInt8])]) {
        self.vocabulary = vocabulary
        self.unknownID = unknownID
        var ids: [[UInt8]: Int] = [:]
        func symbol(_ text: [UInt8]) -> Int {
            if let id = ids[text] { return id }
            ids[text] = ids.count
            return ids.count - 1
        }
        var merges = MergeTable(capacity: pairs.count)
        for (rank, (left, right)) in pairs.enumerated() {
            merges.insert(
                symbol(left), symbol(right), .init(rank: Int32(rank), id: Int32(symbol(left + right))))
        }
        self.merges = merges
        symbols = TokenTable(ids.map { ($0.key, $0.value) })
    }

    func id(of token: [UInt8]) -> Int? { vocabulary[token] }
    var entries: [(token: [UInt8], id: Int)] { vocabulary.entries }
    var count: Int { vocabulary.count }
    var unknownToken: Int? { unknownID }
    var largestID: Int { vocabulary.largestID }

    func encode(_ word: UnsafeBufferPointer<UInt8>, into ids: inout [Int]) {
        var parts: [(symbol: Int32, end: Int)] = []
        let walk = ScalarWalk(bytes: word)
        var position = 0
        while let (_, next) = walk.scalar(at: position) {
            let text = Array(word[position..<next]) + (next == word.count ? Self.wordEnd : [])
            parts.append((Int32(symbols[text] ?? -1), next))
            position = next
        }
        // A word of one character is a token as it is.
        if parts.count > 1 { merge(&parts) }
        var start = 0
        for part in parts {
            let token = Array(word[start..<part.end]) + (part.end == word.count ? [] : Self.continuation)
            ids.append(vocabulary[token] ?? unknownID)
            start = part.end
        }
    }

    /// Merges all pairs of the lowest rank at once, from left to right, until there is none.
    private func merge(_ parts: inout [(symbol: Int32, end: Int)]) {
        while parts.count > 1 {
            var best: (merge: MergeTable.Merge, left: Int32, right: Int32)?
            for (left, right) in zip(parts, parts.dropFirst()) {
                if let merge = merges[left.symbol, right.symbol], merge.rank < best?.merge.rank ?? .max {
                    best = (merge, left.symbol, right.symbol)
                }
            }
            guard let best else { return }
            var count = 0
            var index = 0
            while index < parts.count {
                if index + 1 < parts.count, parts[index].symbol == best.left, parts[index + 1].symbol == best.right {
                    parts[count] = (best.merge.id, parts[index + 1].end)
                    index += 2
                } else {
                    parts[count] = parts[index]
                    index += 1
                }
                count += 1
            }
            parts.removeLast(parts.count - count)
        }
    }
}
