/// A vocabulary: byte strings to ids, looked up without allocation. Open addressing over one block of bytes.
struct TokenTable: Sendable {
    private var bytes: [UInt8] = []
    /// Where each entry ends in `bytes`; it begins where the one before ends.
    private var ends: [Int32] = []
    private var ids: [Int32] = []
    private var slots: [Int32]
    private let mask: Int

    /// The id of each entry; one that stands twice keeps its last id.
    init(_ entries: [(token: [UInt8], id: Int)]) {
        var capacity = 16
        while capacity < 2 * entries.count { capacity *= 2 }
        slots = [Int32](repeating: -1, count: capacity)
        mask = capacity - 1
        bytes.reserveCapacity(entries.reduce(0) { $0 + $1.token.count })
        for (token, id) in entries {
            let slot = token.withUnsafeBufferPointer { self.slot(for: $0, hash: Self.hash($0)) }
            if slots[slot] >= 0 {
                ids[Int(slots[slot])] = Int32(id)
                continue
            }
            slots[slot] = Int32(ids.count)
            bytes += token
            ends.append(Int32(bytes.count))
            ids.append(Int32(id))
        }
    }

    /// Each token once.
    var count: Int { ids.count }

    var largestID: Int { Int(ids.max() ?? 0) }

    subscript(token: [UInt8]) -> Int? {
        token.withUnsafeBufferPointer { token in id(of: token, hash: Self.hash(token)) }
    }

    /// The id of `token`, whose hash the caller has.
    func id(of token: UnsafeBufferPointer<UInt8>, hash: UInt64) -> Int? {
        let entry = slots[slot(for: token, hash: hash)]
        return entry < 0 ? nil : Int(ids[Int(entry)])
    }

    /// All tokens with their ids, for turning ids back into tokens.
    var entries: [(token: [UInt8], id: Int)] {
        ids.indices.map { (Array(bytes[range($0)]), Int(ids[$0])) }
    }

    // FNV-1a, so that the hashes of all prefixes of a word come from one walk over it.
    static let emptyHash: UInt64 = 0xcbf2_9ce4_8422_2325

    static func extend(_ hash: UInt64, _ byte: UInt8) -> UInt64 { (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }

    static func hash(_ token: some Sequence<UInt8>) -> UInt64 { token.reduce(emptyHash, extend) }

    private func range(_ entry: Int) -> Range<Int> { (entry == 0 ? 0 : Int(ends[entry - 1]))..<Int(ends[entry]) }

    /// The slot that holds `token`, or the free one where it belongs.
    private func slot(for token: UnsafeBufferPointer<UInt8>, hash: UInt64) -> Int {
        var slot = Int(truncatingIfNeeded: hash ^ hash >> 32) & mask
        while slots[slot] >= 0 {
            let range = range(Int(slots[slot]))
            if range.count == token.count, bytes[range].elementsEqual(token) { return slot }
            slot = (slot + 1) & mask
        }
        return slot
    }
}
