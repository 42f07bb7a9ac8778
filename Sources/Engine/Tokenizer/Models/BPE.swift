/// Byte-pair encoding (Sennrich et al. 2016) of a piece's characters.
struct BPE: TokenizerModel {
    struct Settings {
        /// What a character is that the vocabulary lacks; nil leaves it out.
        var unknown: [UInt8]?
        /// Whether unknown characters in a row are one token.
        var fusesUnknown = false
        var fallsBackToBytes = false
        /// Before each character but a piece's first.
        var prefix: [UInt8] = []
        /// Behind a piece's last character.
        var suffix: [UInt8] = []
        /// Whether a piece that is in the vocabulary is taken whole.
        var ignoresMerges = false
    }

    let vocabulary: TokenTable
    private let settings: Settings
    private let unknownID: Int32?
    private let merges: MergeTable
    private let bytes: ByteFallback?
    /// Of the characters below U+0800, -1 where there is none: all that byte-level encoding has.
    private let characterIDs: [Int32]

    /// `merges`: pairs of tokens, the strongest first. `place(i)` says where merge i stands, for messages.
    init(
        vocabulary: TokenTable, merges pairs: [(left: [UInt8], right: [UInt8])], _ settings: Settings, file: String,
        place: (Int) -> String
    ) throws(InputError) {
        self.vocabulary = vocabulary
        self.settings = settings
        var unknownID: Int32?
        if let unknown = settings.unknown {
            guard let id = vocabulary[unknown] else {
                throw InputError(
                    file, "the vocabulary has no token \"\(String(decoding: unknown, as: UTF8.self))\" (unk_token)")
            }
            unknownID = Int32(id)
        }
        self.unknownID = unknownID
        bytes = settings.fallsBackToBytes ? ByteFallback { vocabulary[$0] } : nil
        var merges = MergeTable(capacity: pairs.count)
        for (rank, (left, right)) in pairs.enumerated() {
            guard let leftID = vocabulary[left], let rightID = vocabulary[right], right.count >= settings.prefix.count,
                let id = vocabulary[left + right.dropFirst(settings.prefix.count)]
            else {
                let pair = String(decoding: left + [UInt8(ascii: " ")] + right, as: UTF8.self)
                throw InputError(
                    file,
                    "\(place(rank)) merges \"\(pair)\", but a part or the result is not in the vocabulary. "
                        + "Check that both come from the same model")
            }
            merges.insert(leftID, rightID, .init(rank: Int32(rank), id: Int32(id)))
        }
        self.merges = merges
        characterIDs = (0..<0x800).map { scalar in
            var character: [UInt8] = []
            character.append(scalar: UInt32(scalar))
            return Int32(vocabulary[character] ?? -1)
        }
    }

    func id(of token: [UInt8]) -> Int? { vocabulary[token] }
    var entries: [(token: [UInt8], id: Int)] { vocabulary.entries }
    var count: Int { vocabulary.count }
    var unknownToken: Int? { unknownID.map(Int.init) }
    var largestID: Int { vocabulary.largestID }

    /// Merges the pair of the lowest rank, the leftmost of equals, until none is left.
    func encode(_ piece: UnsafeBufferPointer<UInt8>, into ids: inout [Int]) {
        if settings.ignoresMerges, let id = vocabulary.id(of: piece, hash: TokenTable.hash(piece)) {
            return ids.append(id)
        }
        // With byte fallback each byte of a character, its prefix and the suffix may become a symbol.
        let capacity = piece.count * (1 + settings.prefix.count) + settings.suffix.count + 1
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: capacity) { symbols in
            var count = characters(of: piece, into: symbols)
            if count > 32 {
                mergeLong(symbols, &count)
            } else {
                mergeShort(symbols, &count)
            }
            for symbol in symbols[..<count] { ids.append(Int(symbol)) }
        }
    }

    /// Writes the ids of the piece's characters and returns how many there are.
    private func characters(of piece: UnsafeBufferPointer<UInt8>, into symbols: UnsafeMutableBufferPointer<Int32>) -> Int {
        let walk = ScalarWalk(bytes: piece)
        let isPlain = settings.prefix.isEmpty && settings.suffix.isEmpty
        var count = 0
        var position = 0
        var isUnknown = false  // one that waits for others to fuse with
        while let (scalar, next) = walk.scalar(at: position) {
            defer { position = next }
            var found: Int32 = -1
            if isPlain {
                let character = UnsafeBufferPointer(rebasing: piece[position..<next])
                found =
                    scalar < 0x800
                    ? characterIDs[Int(scalar)]
                    : Int32(vocabulary.id(of: character, hash: TokenTable.hash(character)) ?? -1)
                if found < 0, append(bytesOf: character, symbols, &count) { continue }
            } else {
                var character = position > 0 ? settings.prefix : []
                character.append(contentsOf: piece[position..<next])
                if next == piece.count { character += settings.suffix }
                found = Int32(vocabulary[character] ?? -1)
                if found < 0, append(bytesOf: character, symbols, &count) { continue }
            }
            if found < 0 {
                guard unknownID != nil else { continue }
                if isUnknown, settings.fusesUnknown { continue }
            }
            // The library writes an unknown one only before the next that is known, or unknown but not fused.
            if isUnknown {
                symbols[count] = unknownID ?? 0
                count += 1
            }
            isUnknown = found < 0
            if found >= 0 {
                symbols[count] = found
                count += 1
            }
        }
        if isUnknown {
            symbols[count] = unknownID ?? 0
            count += 1
        }
        return count
    }

    private func append(
        bytesOf character: some Sequence<UInt8>, _ symbols: UnsafeMutableBufferPointer<Int32>, _ count: inout Int
    ) -> Bool {
        guard let bytes else { return false }
        var ids: [Int] = []
        guard bytes.append(character, to: &ids) else { return false }
        for id in ids {
            symbols[count] = Int32(id)
            count += 1
        }
        return true
    }

    /// Quadratic, without bookkeeping: the faster one for words.
    private func mergeShort(_ symbols: UnsafeMutableBufferPointer<Int32>, _ count: inout Int) {
        while count > 1 {
            var best: (merge: MergeTable.Merge, index: Int)?
            for index in 0..<count - 1 {
                if let merge = merges[symbols[index], symbols[index + 1]], merge.rank < best?.merge.rank ?? .max {
                    best = (merge, index)
                }
            }
            guard let best else { return }
            symbols[best.index] = best.merge.id
            for index in best.index + 1..<count - 1 { symbols[index] = symbols[index + 1] }
            count -= 1
        }
    }

    /// A queue of candidate merges over a linked list: n log n, for the 10,000 characters without a space.
    private func mergeLong(_ symbols: UnsafeMutableBufferPointer<Int32>, _ count: inout Int) {
        let total = count
        var next = Array(1...total)
        var previous = Array(-1..<total - 1)
        var isAlive = [Bool](repeating: true, count: total)
        var queue = MergeQueue()
        func enqueue(_ left: Int, _ next: [Int], _ queue: inout MergeQueue) {
            guard left >= 0, next[left] < total, let merge = merges[symbols[left], symbols[next[left]]] else { return }
            queue.insert(.init(rank: merge.rank, position: Int32(left), left: symbols[left], right: symbols[next[left]]))
        }
        for index in 0..<total - 1 { enqueue(index, next, &queue) }
        while let candidate = queue.popFirst() {
            let left = Int(candidate.position)
            guard isAlive[left], next[left] < total, symbols[left] == candidate.left,
                symbols[next[left]] == candidate.right, let merge = merges[candidate.left, candidate.right]
            else { continue }
            let right = next[left]
            symbols[left] = merge.id
            isAlive[right] = false
            next[left] = next[right]
            if next[right] < total { previous[next[right]] = left }
            enqueue(previous[left], next, &queue)
            enqueue(left, next, &queue)
        }
        count = 0
        for index in 0..<total where isAlive[index] {
            symbols[count] = symbols[index]
            count += 1
        }
    }
}
