/// `BertNormalizer`: cleaning, spaces around CJK characters, accents off, lower case.
struct BertNormalizer: Normalizer {
    var cleansText = true
    var splitsChinese = true
    var stripsAccents = true
    var lowercases = true

    func normalize(_ text: inout StagedText) {
        var keepsStart = true
        text.rewrite { text, output in
            output.reserveCapacity(text.count + 16)
            if let first = ScalarWalk(bytes: text).scalar(at: 0) { keepsStart = cleaned(first.value) != nil }
            if text.allSatisfy({ $0 < 0x80 }) {
                for byte in text {
                    guard let scalar = cleaned(UInt32(byte)) else { continue }
                    output.append(UInt8(lowercases && 0x41...0x5A ~= scalar ? scalar | 0x20 : scalar))
                }
            } else {
                normalize(text, into: &output)
            }
        }
        text.isAtTextStart = text.isAtTextStart && keepsStart
    }

    /// nil for a scalar that goes, U+0020 for white space.
    private func cleaned(_ scalar: UInt32) -> UInt32? {
        guard cleansText else { return scalar }
        if 0x20...0x7E ~= scalar { return scalar }
        // The white space among the controls stays; the other controls, U+000B and U+0085 too, go.
        if scalar == 0x09 || scalar == 0x0A || scalar == 0x0D { return 0x20 }
        if UnicodeClass.isRemovedByBert(scalar) { return nil }
        return UnicodeClass.isWhitespace(scalar) ? 0x20 : scalar
    }

    private func normalize(_ text: UnsafeBufferPointer<UInt8>, into output: inout [UInt8]) {
        let table = Decomposition.table
        var marks: [UInt32] = []
        func write(_ scalar: UInt32) {
            if lowercases { Lowercase.append(scalar, to: &output) } else { output.append(scalar: scalar) }
        }
        /// Marks that stay are written in the order of their classes, once the run of them has ended.
        func append(_ scalar: UInt32) {
            guard stripsAccents, scalar >= 0x300 else {
                flush()
                return write(scalar)
            }
            if UnicodeClass.isNonspacingMark(scalar) { return }
            if table.combiningClass(scalar) != 0 { return marks.append(scalar) }
            flush()
            write(scalar)
        }
        func flush() {
            if marks.isEmpty { return }
            table.sortByClass(&marks, from: 0)
            for mark in marks { write(mark) }
            marks.removeAll(keepingCapacity: true)
        }
        let walk = ScalarWalk(bytes: text)
        var position = 0
        while let (scalar, next) = walk.scalar(at: position) {
            position = next
            guard let cleaned = cleaned(scalar) else { continue }
            let isChinese = splitsChinese && cleaned >= 0x3400 && UnicodeClass.isChinese(cleaned)
            if isChinese { append(0x20) }
            if stripsAccents, cleaned >= 0xC0 {
                table.decompose(cleaned, compatibly: false, append)
            } else {
                append(cleaned)
            }
            if isChinese { append(0x20) }
        }
        flush()
    }
}
