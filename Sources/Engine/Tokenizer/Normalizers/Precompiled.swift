/// `Precompiled`: SentencePiece's own normalization, a map of texts in a double-array trie (Darts-clone), as the crate
/// spm_precompiled reads it.
struct Precompiled: Normalizer {
    private let units: [UInt32]
    /// Replacements, each ended by a NUL.
    private let replacements: [UInt8]

    /// - Parameter charsmap: the trie's size in bytes (u32), the trie, the replacements; little-endian.
    init(charsmap: [UInt8], file: String) throws(InputError) {
        func word(_ offset: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(charsmap[offset + $1]) << UInt32(8 * $1) }
        }
        guard charsmap.count >= 4, case let size = Int(word(0)), size > 0, size.isMultiple(of: 4), size <= charsmap.count - 4
        else {
            throw InputError(
                file, "precompiled_charsmap is damaged: its trie does not fit into its \(charsmap.count) bytes")
        }
        units = (0..<size / 4).map { word(4 + 4 * $0) }
        replacements = Array(charsmap[(4 + size)...])
    }

    /// Grapheme by grapheme; one of less than 6 bytes is replaced as a whole where its beginning is in the map, a longer
    /// one scalar by scalar.
    func normalize(_ text: inout StagedText) {
        text.rewrite { text, output in
            output.reserveCapacity(text.count)
            var position = 0
            while position < text.count {
                let isLast = position + 1 == text.count
                if text[position] < 0x80, isLast || text[position + 1] < 0x80 {
                    // A grapheme of its own, but for CR LF.
                    let isLineEnd = text[position] == 0x0D && !isLast && text[position + 1] == 0x0A
                    let end = position + (isLineEnd ? 2 : 1)
                    appendGrapheme(UnsafeBufferPointer(rebasing: text[position..<end]), to: &output)
                    position = end
                } else {
                    // A stretch that ends before an ASCII character with another one behind it, which begins a grapheme.
                    var end = position + 1
                    while end < text.count, text[end] >= 0x80 || end + 1 < text.count && text[end + 1] >= 0x80 { end += 1 }
                    for grapheme in String(decoding: text[position..<end], as: UTF8.self) {
                        var utf8 = String(grapheme)
                        utf8.withUTF8 { appendGrapheme($0, to: &output) }
                    }
                    position = end
                }
            }
        }
    }

    private func appendGrapheme(_ grapheme: UnsafeBufferPointer<UInt8>, to output: inout [UInt8]) {
        if grapheme.count < 6, let replacement = replacement(of: grapheme) {
            return output.append(contentsOf: replacement)
        }
        let walk = ScalarWalk(bytes: grapheme)
        var position = 0
        while let (_, next) = walk.scalar(at: position) {
            let scalar = UnsafeBufferPointer(rebasing: grapheme[position..<next])
            if grapheme.count > scalar.count || grapheme.count >= 6, let replacement = replacement(of: scalar) {
                output.append(contentsOf: replacement)
            } else {
                output.append(contentsOf: scalar)
            }
            position = next
        }
    }

    /// What the shortest beginning of `text` that is in the map is replaced by.
    private func replacement(of text: UnsafeBufferPointer<UInt8>) -> ArraySlice<UInt8>? {
        var node = Self.offset(units[0])
        for byte in text {
            node ^= Int(byte)
            guard byte != 0, node < units.count, units[node] & (1 << 31 | 0xFF) == UInt32(byte) else { return nil }
            let unit = units[node]
            node ^= Self.offset(unit)
            guard unit >> 8 & 1 == 1 else { continue }
            guard node < units.count, case let start = Int(units[node] & (1 << 31 - 1)), start <= replacements.count else {
                return nil
            }
            return replacements[start...].prefix { $0 != 0 }
        }
        return nil
    }

    private static func offset(_ unit: UInt32) -> Int { Int(unit >> 10) << Int((unit & 1 << 9) >> 6) }
}
