/// `Precompiled`: SentencePiece's own normalization, a map of texts in a double-array trie (Darts-clone), as the crate
/// spm_precompiled reads it.
struct Precompiled: Normalizer {
    private let units: [UInt32]
    /// Replacements, each ended by a NUL.
    private let replacements: [UInt8]
    /// Of the ASCII characters, whether one by itself stays as it is.
    private var stays: [Bool] = []

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
        stays = (0..<0x80).map { byte in
            [UInt8(byte)].withUnsafeBufferPointer { [self] in replacement(of: $0)?.elementsEqual($0) ?? true }
        }
    }

    /// Grapheme by grapheme; one of less than 6 bytes is replaced as a whole where its beginning is in the map, a longer
    /// one scalar by scalar.
    func normalize(_ text: inout StagedText) {
        text.rewrite { text, output in
            output.reserveCapacity(text.count)
            let walk = ScalarWalk(bytes: text)
            var written = 0  // all before is
            var position = 0
            while position < text.count {
                let byte = text[position]
                if byte < 0x80, stays[Int(byte)], position + 1 == text.count || 0x20..<0x80 ~= text[position + 1] {
                    position += 1
                    continue
                }
                output.append(contentsOf: text[written..<position])
                position = appendStretch(walk, from: position, to: &output)
                written = position
            }
            output.append(contentsOf: text[written...])
        }
    }

    /// Appends what stands between two places where graphemes surely end, and returns the second one.
    private func appendStretch(_ walk: ScalarWalk, from start: Int, to output: inout [UInt8]) -> Int {
        var end = start
        var isOneScalar = true
        var stoodAlone = false
        while let (scalar, next) = walk.scalar(at: end) {
            let standsAlone = Self.standsAlone(scalar)
            if end > start {
                if stoodAlone && standsAlone { break }
                isOneScalar = false
            }
            stoodAlone = standsAlone
            end = next
        }
        let stretch = UnsafeBufferPointer(rebasing: walk.bytes[start..<end])
        if isOneScalar {
            appendGrapheme(stretch, to: &output)
        } else {
            for grapheme in String(decoding: stretch, as: UTF8.self) {
                var utf8 = String(grapheme)
                utf8.withUTF8 { appendGrapheme($0, to: &output) }
            }
        }
        return end
    }

    /// Whether between this scalar and another of its kind a grapheme ends always: a part of those that Unicode gives no part
    /// in graphemes of several (Grapheme_Cluster_Break=Other), which are ASCII, Latin letters and general punctuation.
    private static func standsAlone(_ scalar: UInt32) -> Bool {
        0x20..<0x7F ~= scalar || 0xA0..<0x300 ~= scalar && scalar != 0xAD || 0x2010..<0x2028 ~= scalar
            || 0x2030..<0x205F ~= scalar
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
