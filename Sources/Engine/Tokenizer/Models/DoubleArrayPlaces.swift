/// Which places of a double array are free, and which bases nobody has: one bit each.
struct DoubleArrayPlaces {
    private var free: [UInt64] = []
    private var unused: [UInt64] = []
    /// Where the search begins for nodes of one child, which fill what others leave, and for nodes of several.
    private var first = (one: 0, several: 0)
    /// So far a search may end behind its beginning before the next one begins later: no more is gone through in vain.
    private static let reach = 64

    init() { append() }

    /// A multiple of 256.
    var count: Int { free.count * 64 }

    /// A base that nobody has, with a free place for each child; there is at least one.
    mutating func base(for labels: [UInt8]) -> Int {
        let start = labels.count == 1 ? first.one : first.several
        var place = start
        while true {
            place = nextFree(place)
            let base = place ^ Int(labels[0])
            if Self.has(unused, base), labels.allSatisfy({ Self.has(free, base ^ Int($0)) }) {
                let start = max(start, place - Self.reach)
                if labels.count == 1 { first.one = start } else { first.several = start }
                return base
            }
            place += 1
        }
    }

    mutating func take(_ base: Int, _ labels: [UInt8]) {
        Self.clear(&unused, base)
        for label in labels { Self.clear(&free, base ^ Int(label)) }
    }

    private mutating func nextFree(_ place: Int) -> Int {
        var word = place / 64
        if word == free.count { append() }
        var bits = free[word] & (~0 << UInt64(place % 64))
        while bits == 0 {
            word += 1
            if word == free.count { append() }
            bits = free[word]
        }
        return word * 64 + bits.trailingZeroBitCount
    }

    private mutating func append() {
        free += [~0, ~0, ~0, ~0]
        unused += [~0, ~0, ~0, ~0]
    }

    private static func has(_ bits: [UInt64], _ place: Int) -> Bool { bits[place / 64] >> UInt64(place % 64) & 1 == 1 }

    private static func clear(_ bits: inout [UInt64], _ place: Int) { bits[place / 64] &= ~(1 << UInt64(place % 64)) }
}
