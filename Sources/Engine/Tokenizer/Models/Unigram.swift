/// `Unigram` (Kudo 2018): of all ways to cut a piece into tokens the one with the highest sum of scores.
struct Unigram: TokenizerModel {
    private let vocabulary: UnigramVocabulary
    private let unknownID: Int
    private let unknownScore: Double
    private let bytes: ByteFallback?

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
    var largestID: Int { vocabulary.count - 1 }

    private struct Best {
        var score = 0.0
        var start: Int32 = -1
        var id: Int32 = -1
    }

    /// Viterbi over the bytes' positions; the first of equal ways is kept, as in the library.
    func encode(_ piece: UnsafeBufferPointer<UInt8>, into ids: inout [Int]) {
        withUnsafeTemporaryAllocation(of: Best.self, capacity: piece.count + 1) { best in
            best.initialize(repeating: Best())
            let walk = ScalarWalk(bytes: piece)
            var start = 0
            while let (_, next) = walk.scalar(at: start) {
                let score = best[start].score
                var hasScalar = false
                func offer(_ id: Int, _ score: Double, _ end: Int) {
                    if best[end].start < 0 || score > best[end].score {
                        best[end] = Best(score: score, start: Int32(start), id: Int32(id))
                    }
                }
                vocabulary.trie.forEachPiece(of: piece, from: start) { id, end in
                    offer(id, vocabulary.scores[id] + score, end)
                    if end == next { hasScalar = true }
                }
                if !hasScalar { offer(unknownID, unknownScore + score, next) }
                start = next
            }
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

    /// Backwards, as the ids are gathered from the end.
    private func append(unknown text: UnsafeBufferPointer<UInt8>, to ids: inout [Int]) {
        if let id = vocabulary.trie[text] { return ids.append(id) }
        if let bytes, bytes.append(text.reversed(), to: &ids) { return }
        ids.append(unknownID)
    }
}

/// Pieces and their scores, by id.
struct UnigramVocabulary: Sendable {
    private(set) var trie: PieceTrie
    private(set) var scores: [Double] = []
    private(set) var leastScore = Double.infinity
    private var bytes: [UInt8] = []
    private var ends: [Int32] = []

    init(expectedBytes: Int) { trie = PieceTrie(expectedBytes: expectedBytes) }

    var count: Int { scores.count }

    var entries: [(token: [UInt8], id: Int)] { (0..<count).map { (token($0), $0) } }

    func token(_ id: Int) -> [UInt8] { Array(bytes[(id == 0 ? 0 : Int(ends[id - 1]))..<Int(ends[id])]) }

    /// The first of the pieces that are `token`.
    func firstPlace(of token: [UInt8]) -> Int? {
        trie[token] == nil ? nil : (0..<count).first { self.token($0) == token }
    }

    /// The problem, where there is one.
    mutating func append(_ token: [UInt8], _ score: Double) -> String? {
        guard score.isFinite else { return "the score \(score) of piece \(count); a score is a finite number" }
        guard trie.insert(token, count), bytes.count + token.count < Int(Int32.max) else {
            return "pieces of more than 2²⁴ different beginnings"
        }
        scores.append(score)
        leastScore = min(leastScore, score)
        bytes += token
        ends.append(Int32(bytes.count))
        return nil
    }
}
