/// The merges of byte-pair encoding: two ids to their rank and the id of the result. Open addressing.
struct MergeTable: Sendable {
    struct Merge: Sendable {
        let rank: Int32
        let id: Int32
    }

    private var keys: [UInt64]
    private var merges: [Merge]
    private let shift: UInt64
    private static let free = UInt64.max

    init(capacity: Int) {
        var bits: UInt64 = 4
        while 1 << bits < 2 * capacity { bits += 1 }
        keys = [UInt64](repeating: Self.free, count: 1 << bits)
        merges = [Merge](repeating: Merge(rank: 0, id: 0), count: 1 << bits)
        shift = 64 - bits
    }

    /// Of a pair that stands twice the last one counts, as in the library.
    mutating func insert(_ left: Int, _ right: Int, _ merge: Merge) {
        let key = Self.key(Int32(left), Int32(right))
        let slot = slot(key)
        keys[slot] = key
        merges[slot] = merge
    }

    subscript(left: Int32, right: Int32) -> Merge? {
        let slot = slot(Self.key(left, right))
        return keys[slot] == Self.free ? nil : merges[slot]
    }

    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    private func slot(_ key: UInt64) -> Int {
        var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> shift)
        while keys[slot] != Self.free, keys[slot] != key { slot = (slot + 1) & (keys.count - 1) }
        return slot
    }
}
