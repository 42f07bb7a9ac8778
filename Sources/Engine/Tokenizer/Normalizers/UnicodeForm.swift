/// `NFC`, `NFD`, `NFKC`, `NFKD`.
enum UnicodeForm: String, Normalizer {
    case nfc = "NFC"
    case nfd = "NFD"
    case nfkc = "NFKC"
    case nfkd = "NFKD"

    private var isCompatible: Bool { self == .nfkc || self == .nfkd }
    private var composes: Bool { self == .nfc || self == .nfkc }

    func normalize(_ text: inout StagedText) {
        let table = Decomposition.table
        guard text.bytes.contains(where: { $0 >= 0x80 }) else { return }
        text.rewrite { text, output in
            let walk = ScalarWalk(bytes: text)
            var position = 0
            if self == .nfc {
                var changes = false
                while let (scalar, next) = walk.scalar(at: position), !changes {
                    changes = table.mayChangeInNFC(scalar)
                    position = next
                }
                if !changes { return output.append(contentsOf: text) }
                position = 0
            }
            var scalars: [UInt32] = []
            scalars.reserveCapacity(text.count)
            var marks = 0  // where the run of scalars with a class begins
            while let (scalar, next) = walk.scalar(at: position) {
                table.decompose(scalar, compatibly: isCompatible) { part in
                    if table.combiningClass(part) == 0 {
                        table.sortByClass(&scalars, from: marks)
                        marks = scalars.count + 1
                    }
                    scalars.append(part)
                }
                position = next
            }
            table.sortByClass(&scalars, from: min(marks, scalars.count))
            if composes { Self.compose(&scalars, table) }
            for scalar in scalars { output.append(scalar: scalar) }
        }
    }

    /// Each scalar joins the last starter before it, unless one of its own class or a higher one stands between.
    private static func compose(_ scalars: inout [UInt32], _ table: Decomposition) {
        var starter: Int?
        var lastClass: UInt32?  // of the last scalar kept behind the starter
        var count = 0
        for scalar in scalars {
            let combiningClass = table.combiningClass(scalar)
            if let place = starter, lastClass.map({ $0 < combiningClass }) ?? true,
                let composite = table.composition(scalars[place], scalar)
            {
                scalars[place] = composite
                continue
            }
            scalars[count] = scalar
            if combiningClass == 0 {
                starter = count
                lastClass = nil
            } else {
                lastClass = combiningClass
            }
            count += 1
        }
        scalars.removeLast(scalars.count - count)
    }
}
