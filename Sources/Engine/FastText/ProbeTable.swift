/// 32-bit hashes to numbers, by open addressing; what the hashes stand for is the caller's to compare.
struct ProbeTable: Sendable {
    /// A hash in the upper half, its number plus one in the lower; 0 is free.
    private var slots: [UInt64]
    private let shift: UInt32
    /// Looks at slots that insertions may still take. Hashes that were made to collide would take for ever.
    private var patience: Int

    /// Room for `count` numbers, half of it left free.
    init(count: Int) {
        var bits: UInt32 = 4
        while 1 << bits < 2 * count { bits += 1 }
        slots = [UInt64](repeating: 0, count: 1 << bits)
        shift = 32 - bits
        patience = 4096 + 64 * count
    }

    /// Adds or replaces; false where too many hashes collided to go on.
    mutating func insert(_ hash: UInt32, _ number: Int, isSame: (Int) -> Bool) -> Bool {
        var slot = first(hash)
        while let held = self[slot, hash] {
            if let held, isSame(held) { break }
            slot = (slot + 1) & (slots.count - 1)
            patience -= 1
            if patience == 0 { return false }
        }
        slots[slot] = UInt64(hash) << 32 | UInt64(number + 1)
        return true
    }

    @inline(__always)
    func find(_ hash: UInt32, isSame: (Int) -> Bool) -> Int? {
        var slot = first(hash)
        while let held = self[slot, hash] {
            if let held, isSame(held) { return held }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    @inline(__always)
    private func first(_ hash: UInt32) -> Int { Int((hash &* 0x9E37_79B1) >> shift) }

    /// The number in `slot` where its hash is this one; nil inside where it is another, nil where the slot is free.
    @inline(__always)
    private subscript(slot: Int, hash: UInt32) -> Int?? {
        let held = slots[slot]
        guard held != 0 else { return .none }
        return .some(UInt32(held >> 32) == hash ? Int(UInt32(truncatingIfNeeded: held)) - 1 : nil)
    }
}
