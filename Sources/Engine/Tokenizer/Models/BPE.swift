/// Byte-level byte-pair encoding (Radford et al. 2019), as GPT-2 and RoBERTa have it.
struct ByteLevelBPE: SubwordModel {
    private struct Merge: Sendable {
        let rank: Int32
        let id: Int32
    }

    let vocabulary: TokenTable
    private let byteIDs: [Int32]  // of the 256 bytes as tokens
    private let merges: [UInt64: Merge]
    private let addsPrefixSpace: Bool

    /// `merges`: pairs of tokens, the strongest first. `place(i)` says where merge i stands, for messages.
    init(
        vocabulary: TokenTable, merges pairs: [(left: [UInt8], right: [UInt8])], addsPrefixSpace: Bool, file: String,
        place: (Int) -> String
    ) throws(InputError) {
        self.vocabulary = vocabulary
        self.addsPrefixSpace = addsPrefixSpace
        var byteIDs: [Int32] = []
        for byte in UInt8.min...UInt8.max {
            guard let id = vocabulary[ByteLevel.symbol(byte)] else {
                throw InputError(
                    file,
                    "the vocabulary has no token \"\(String(decoding: ByteLevel.symbol(byte), as: UTF8.self))\" for "
                        + "byte \(byte); byte-level BPE needs all 256")
            }
            byteIDs.append(Int32(id))
        }
        self.byteIDs = byteIDs
        var merges: [UInt64: Merge] = [:]
        merges.reserveCapacity(pairs.count)
        for (rank, (left, right)) in pairs.enumerated() {
            guard let leftID = vocabulary[left], let rightID = vocabulary[right], let id = vocabulary[left + right] else {
                let pair = String(decoding: left + [UInt8(ascii: " ")] + right, as: UTF8.self)
                throw InputError(
                    file,
                    "\(place(rank)) merges \"\(pair)\", but a part or the result is not in the vocabulary. "
                        + "Check that both come from the same model")
            }
            merges[Self.key(leftID, rightID)] = Merge(rank: Int32(rank), id: Int32(id))
        }
        self.merges = merges
    }

    func encode(_ text: UnsafeBufferPointer<UInt8>, into ids: inout [Int]) {
        if addsPrefixSpace, text.first != UInt8(ascii: " ") {
            (CollectionOfOne(UInt8(ascii: " ")) + Array(text)).withUnsafeBufferPointer { encodeWords($0, into: &ids) }
        } else {
            encodeWords(text, into: &ids)
        }
    }

    private func encodeWords(_ text: UnsafeBufferPointer<UInt8>, into ids: inout [Int]) {
        var position = 0
        while position < text.count {
            let end = ByteLevel.endOfWord(text, from: position)
            encode(word: UnsafeBufferPointer(rebasing: text[position..<end]), into: &ids)
            position = end
        }
    }

    /// Merges the pair of the lowest rank, the leftmost of equals, until none is left.
    private func encode(word: UnsafeBufferPointer<UInt8>, into ids: inout [Int]) {
        var symbols = word.map { byteIDs[Int($0)] }
        if symbols.count > 32 {
            mergeLong(&symbols)
        } else {
            mergeShort(&symbols)
        }
        ids.append(contentsOf: symbols.lazy.map(Int.init))
    }

    /// Quadratic, without bookkeeping: the faster one for words.
    private func mergeShort(_ symbols: inout [Int32]) {
        while symbols.count > 1 {
            var best: (merge: Merge, index: Int)?
            for index in 0..<symbols.count - 1 {
                if let merge = merge(symbols[index], symbols[index + 1]), merge.rank < best?.merge.rank ?? .max {
                    best = (merge, index)
                }
            }
            guard let best else { return }
            symbols[best.index] = best.merge.id
            symbols.remove(at: best.index + 1)
        }
    }

    /// A queue of candidate merges over a linked list: n log n, for the 10,000 characters without a space.
    private func mergeLong(_ symbols: inout [Int32]) {
        var next = Array(1...symbols.count)
        var previous = Array(-1..<symbols.count - 1)
        var isAlive = [Bool](repeating: true, count: symbols.count)
        var queue = MergeQueue()
        let count = symbols.count
        func enqueue(_ left: Int, _ symbols: [Int32], _ next: [Int], _ queue: inout MergeQueue) {
            guard left >= 0, next[left] < count, let merge = merge(symbols[left], symbols[next[left]]) else { return }
            queue.insert(.init(rank: merge.rank, position: Int32(left), left: symbols[left], right: symbols[next[left]]))
        }
        for index in 0..<count - 1 { enqueue(index, symbols, next, &queue) }
        while let candidate = queue.popFirst() {
            let left = Int(candidate.position)
            guard isAlive[left], next[left] < count, symbols[left] == candidate.left,
                symbols[next[left]] == candidate.right, let merge = merge(candidate.left, candidate.right)
            else { continue }
            let right = next[left]
            symbols[left] = merge.id
            isAlive[right] = false
            next[left] = next[right]
            if next[right] < count { previous[next[right]] = left }
            enqueue(previous[left], symbols, next, &queue)
            enqueue(left, symbols, next, &queue)
        }
        symbols = zip(symbols, isAlive).filter(\.1).map(\.0)
    }

    private func merge(_ left: Int32, _ right: Int32) -> Merge? { merges[Self.key(Int(left), Int(right))] }

    private static func key(_ left: Int, _ right: Int) -> UInt64 { UInt64(left) << 32 | UInt64(right) }
}

/// Candidate merges, the lowest rank first, the leftmost of equals. A binary heap.
private struct MergeQueue {
    struct Candidate: Comparable {
        let rank: Int32
        let position: Int32
        let left: Int32
        let right: Int32

        static func < (a: Self, b: Self) -> Bool { (a.rank, a.position) < (b.rank, b.position) }
    }

    private var heap: [Candidate] = []

    mutating func insert(_ candidate: Candidate) {
        heap.append(candidate)
        var child = heap.count - 1
        while child > 0, heap[child] < heap[(child - 1) / 2] {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func popFirst() -> Candidate? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if heap.isEmpty { return first }
        heap[0] = last
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { return first }
            if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
            guard heap[child] < heap[parent] else { return first }
            heap.swapAt(child, parent)
            parent = child
        }
    }
}
