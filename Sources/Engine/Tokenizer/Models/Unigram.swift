/// `Unigram` (Kudo 2018): of all ways to cut a piece into tokens the one with the highest sum of scores.
struct Unigram: TokenizerModel {
    private let vocabulary: UnigramVocabulary
    private let unknownID: Int
    private let unknownScore: Double
    private let bytes: ByteFallback?
    private let cache = PieceCache()

    init(_ vocabulary: UnigramVocabulary, unknownID: Int, fallsBackToBytes: Bool, file: String) throws(InputError) {
        guard 0..<vocabulary.count ~= unknownID else {
            throw InputError(file, "unk_id \(unknownID) is not in the vocabulary of \(vocabulary.count) pieces")
        }
        self.vocabulary = vocabulary
        self.unknownID = unknownID
        unknownScore = vocabulary.leastScore - 10
        bytes = fallsBackToBytes ? ByteFallback { vocabulary.trie[$0] } : nil
    }

    func id(of token: [UInt8]) -> Int? { vocabulary.trie[token] }
    var entries: [(token: [UInt8], id: Int)] { vocabulary.entries }
    var count: Int { vocabulary.count }
    var unknownToken: Int? { unknownID }
    var largestID: Int { vocabulary.count - 1 }

    func encode(_ text: StagedText, into ids: inout [Int]) { cache.encode(text, by: self, into: &ids) }

    private struct Best {
        var score = 0.0
        var start: Int32 = -1
        var id: Int32 = -1
    }

    /// Viterbi over the bytes' positions; the first of equal ways is kept, as in the library.
    func encode(_ piece: UnsafeBufferPointer<UInt8>, into ids: inout [Int]) {
        withUnsafeTemporaryAllocation(of: Best.self, capacity: piece.count + 1) { best in
            best.initialize(repeating: Best())
            vocabulary.trie.withReader { trie in findBest(of: piece, best, trie) }
            let first = ids.count
            var end = piece.count
            while end > 0 {
                var node = best[end]
                if Int(node.id) != unknownID {
                    ids.append(Int(node.id))
                    end = Int(node.start)
                    continue
                }
                // Unknown ones in a row are one: its own token where it is in the vocabulary, its bytes, or unknown.
                var begin = Int(node.start)
                while begin > 0, Int(best[begin].id) == unknownID {
                    node = best[begin]
                    begin = Int(node.start)
                }
                append(unknown: UnsafeBufferPointer(rebasing: piece[begin..<end]), to: &ids)
                end = begin
            }
            ids[first...].reverse()
        }
    }

    /// Of each place that a way reaches the best last token.
    private func findBest(
        of piece: UnsafeBufferPointer<UInt8>, _ best: UnsafeMutableBufferPointer<Best>, _ trie: PieceTrie.Reader
    ) {
        func offer(_ id: Int, _ score: Double, from start: Int, to end: Int) {
            if best[end].start < 0 || score > best[end].score {
                best[end] = Best(score: score, start: Int32(start), id: Int32(id))
            }
        }
        var start = 0
        while start < piece.count {
            let score = best[start].score
            let lead = piece[start]
            let next = min(start + (lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4), piece.count)
            var hasScalar = false
            var node = trie.start(lead)
            var end = start
            while let found = node {
                end += 1
                if found.isLeaf {
                    guard let endOfPiece = trie.end(of: found, piece, from: end) else { break }
                    end = endOfPiece
                }
                let id = found.piece
                if id >= 0 {
                    offer(id, found.score + score, from: start, to: end)
                    if end == next { hasScalar = true }
                }
                node = found.isLeaf || end == piece.count ? nil : trie.child(found, piece[end])
            }
            if !hasScalar { offer(unknownID, unknownScore + score, from: start, to: next) }
            start = next
        }
    }

    /// Backwards, as the ids are gathered from the end.
    private func append(unknown text: UnsafeBufferPointer<UInt8>, to ids: inout [Int]) {
        if let id = vocabulary.trie[text] { return ids.append(id) }
        if let bytes, bytes.append(text.reversed(), to: &ids) { return }
        ids.append(unknownID)
    }
}

/// Pieces and their scores, by id.
struct UnigramVocabulary: Sendable {
    let trie: PieceTrie
    let scores: [Double]
    let leastScore: Double
    private let pieces: UnigramPieces

    init(_ pieces: UnigramPieces) {
        self.pieces = pieces
        trie = PieceTrie(bytes: pieces.bytes, ends: pieces.ends, scores: pieces.scores)
        scores = pieces.scores
        leastScore = pieces.scores.min() ?? 0
    }

    var count: Int { scores.count }

    var entries: [(token: [UInt8], id: Int)] { (0..<count).map { (pieces[$0], $0) } }

    /// The first of the pieces that are `token`.
    func firstPlace(of token: [UInt8]) -> Int? {
        trie[token] == nil ? nil : (0..<count).first { pieces[$0] == token }
    }
}

/// Pieces and scores as a file has them.
struct UnigramPieces: Sendable {
    fileprivate(set) var scores: [Double] = []
    fileprivate(set) var bytes: [UInt8] = []
    fileprivate(set) var ends: [Int32] = []

    subscript(id: Int) -> [UInt8] { Array(bytes[(id == 0 ? 0 : Int(ends[id - 1]))..<Int(ends[id])]) }

    /// The problem, where there is one.
    mutating func append(_ token: some Collection<UInt8>, _ score: Double) -> String? {
        guard score.isFinite else { return "the score \(score) of piece \(scores.count); a score is a finite number" }
        guard bytes.count + token.count <= PieceTrie.maximumBytes else { return "more than 16 MiB of pieces" }
        guard scores.count < PieceTrie.maximumBytes else { return "more than \(PieceTrie.maximumBytes) pieces" }
        scores.append(score)
        bytes.append(contentsOf: token)
        ends.append(Int32(bytes.count))
        return nil
    }
}
