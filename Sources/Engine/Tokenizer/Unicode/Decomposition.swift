/// Decomposition, order and composition of Unicode (UAX #15), with the tables of the `tokenizers` library.
struct Decomposition: Sendable {
    static let table = Decomposition()

    /// The decompositions' scalars; an entry is where it begins << 8 | its length.
    private var scalars: [UInt32] = []
    private var canonical = ScalarMap()
    private var compatible = ScalarMap()
    private var classes = ScalarMap()
    /// By the first scalar << 32 | the second.
    private var compositions: [UInt64: UInt32] = [:]
    /// Scalars without which a text is in the form NFC: marks, second parts, those that do not compose again.
    private var changesInNFC = ScalarMap()

    private init() {
        var composites: [(scalar: UInt32, parts: [UInt32])] = []
        for (fields, isComposite) in Self.entries(UnicodeDecompositions.canonical) {
            canonical[fields[0]] = add(fields[1...])
            if isComposite { composites.append((fields[0], Array(fields[1...]))) } else { changesInNFC[fields[0]] = 1 }
        }
        for (fields, _) in Self.entries(UnicodeDecompositions.compatible) { compatible[fields[0]] = add(fields[1...]) }
        for (fields, _) in Self.entries(UnicodeDecompositions.combiningClasses) {
            for scalar in fields[0]...fields[1] {
                classes[scalar] = fields[2]
                changesInNFC[scalar] = 1
            }
        }
        // A composite of three parts is one of two and the last one, so the short ones come first.
        var whole: [[UInt32]: UInt32] = [:]
        for (scalar, parts) in composites.sorted(by: { $0.parts.count < $1.parts.count }) {
            let rest = Array(parts.dropLast())
            guard let last = parts.last, let first = rest.count == 1 ? rest[0] : whole[rest] else { continue }
            whole[parts] = scalar
            compositions[UInt64(first) << 32 | UInt64(last)] = scalar
            changesInNFC[last] = 1
        }
        for scalar in UInt32(0x1161)...0x1175 { changesInNFC[scalar] = 1 }
        for scalar in UInt32(0x11A8)...0x11C2 { changesInNFC[scalar] = 1 }
    }

    private mutating func add(_ parts: ArraySlice<UInt32>) -> UInt32 {
        scalars += parts
        return UInt32(scalars.count - parts.count) << 8 | UInt32(parts.count)
    }

    /// `hex=hex+hex!` or `hex-hex=decimal`: the numbers, and whether there is a !.
    private static func entries(_ text: StaticString) -> [(fields: [UInt32], isMarked: Bool)] {
        text.withUTF8Buffer { text in
            text.split(separator: UInt8(ascii: " ")).map { entry in
                let isClass = entry.contains(UInt8(ascii: "-"))
                var fields: [UInt32] = []
                for field in entry.split(whereSeparator: { !($0 >= 0x30 && $0 <= 0x39 || $0 >= 0x41 && $0 <= 0x46) }) {
                    let radix = isClass && fields.count == 2 ? 10 : 16
                    fields.append(UInt32(String(decoding: field, as: UTF8.self), radix: radix) ?? 0)
                }
                return (fields, entry.last == UInt8(ascii: "!"))
            }
        }
    }

    func combiningClass(_ scalar: UInt32) -> UInt32 { scalar < 0x300 ? 0 : classes[scalar] }

    /// Calls `body` with the parts of `scalar`, which is its own part where there is no decomposition.
    func decompose(_ scalar: UInt32, compatibly: Bool, _ body: (UInt32) -> Void) {
        if scalar < 0xA0 { return body(scalar) }
        if 0xAC00...0xD7A3 ~= scalar {
            let index = scalar - 0xAC00
            body(0x1100 + index / 588)
            body(0x1161 + index % 588 / 28)
            if index % 28 != 0 { body(0x11A7 + index % 28) }
            return
        }
        var entry = compatibly ? compatible[scalar] : 0
        if entry == 0 { entry = canonical[scalar] }
        if entry == 0 { return body(scalar) }
        for index in Int(entry >> 8)..<Int(entry >> 8) + Int(entry & 255) { body(scalars[index]) }
    }

    /// Sorts the scalars from `start` on, all of them with a class, by it; equals stay in order.
    func sortByClass(_ scalars: inout [UInt32], from start: Int) {
        guard scalars.count - start > 1 else { return }
        let sorted = scalars[start...].enumerated().sorted {
            (combiningClass($0.element), $0.offset) < (combiningClass($1.element), $1.offset)
        }
        for (index, pair) in sorted.enumerated() { scalars[start + index] = pair.element }
    }

    /// What `first` and `second` compose to.
    func composition(_ first: UInt32, _ second: UInt32) -> UInt32? {
        if 0x1100...0x1112 ~= first, 0x1161...0x1175 ~= second {
            return 0xAC00 + (first - 0x1100) * 588 + (second - 0x1161) * 28
        }
        if 0xAC00...0xD7A3 ~= first, (first - 0xAC00).isMultiple(of: 28), 0x11A8...0x11C2 ~= second {
            return first + (second - 0x11A7)
        }
        return compositions[UInt64(first) << 32 | UInt64(second)]
    }

    /// Whether a text that holds no such scalar is in the form NFC.
    func mayChangeInNFC(_ scalar: UInt32) -> Bool { scalar >= 0x300 && changesInNFC[scalar] != 0 }
}
