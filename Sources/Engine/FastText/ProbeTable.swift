/// 32-bit hashes to numbers, by open addressing; what the hashes stand for is the caller's to compare.
struct ProbeTable: Sendable {
    /// A hash in the upper half, its number plus one in the lower; 0 is free.
    private var slots: [UInt64]
    private let shift: UInt32
    /// Steps past a taken slot that insertions may still make. Hashes that were made to collide would take for ever.
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
        var slot = place(hash)
        while slots[slot] != 0, !Self.holds(slots[slot], hash, isSame) {
            slot = (slot + 1) & (slots.count - 1)
            patience -= 1
            if patience == 0 { return false }
        }
        slots[slot] = UInt64(hash) << 32 | UInt64(number + 1)
        return true
    }

    @inline(__always)
    func find(_ hash: UInt32, isSame: (Int) -> Bool) -> Int? { find(hash, firstSlot: firstSlot(hash), isSame: isSame) }

    /// What stands where a search for `hash` begins. A caller with several hashes reads all of these first.
    @inline(__always)
    func firstSlot(_ hash: UInt32) -> UInt64 { slots[place(hash)] }

    @inline(__always)
    func find(_ hash: UInt32, firstSlot: UInt64, isSame: (Int) -> Bool) -> Int? {
        var held = firstSlot
        var slot = place(hash)
        while held != 0 {
            if Self.holds(held, hash, isSame) { return Self.number(held) }
            slot = (slot + 1) & (slots.count - 1)
            held = slots[slot]
        }
        return nil
    }

    @inline(__always)
    private func place(_ hash: UInt32) -> Int { Int((hash &* 0x9E37_79B1) >> shift) }

    @inline(__always)
    private static func holds(_ slot: UInt64, _ hash: UInt32, _ isSame: (Int) -> Bool) -> Bool {
        UInt32(slot >> 32) == hash && isSame(number(slot))
    }

    @inline(__always)
    private static func number(_ slot: UInt64) -> Int { Int(UInt32(truncatingIfNeeded: slot)) - 1 }
}
