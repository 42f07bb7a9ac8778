/// `Lowercase`: each scalar by itself, so a final Σ becomes σ.
struct Lowercase: Normalizer {
    func normalize(_ text: inout StagedText) {
        text.rewrite { text, output in
            let walk = ScalarWalk(bytes: text)
            var position = 0
            while let (scalar, next) = walk.scalar(at: position) {
                Self.append(scalar, to: &output)
                position = next
            }
        }
    }

    static func append(_ scalar: UInt32, to output: inout [UInt8]) {
        if scalar < 0x80 {
            output.append(UInt8(0x41...0x5A ~= scalar ? scalar | 0x20 : scalar))
        } else if let known = Unicode.Scalar(scalar), known.properties.changesWhenLowercased {
            output.append(contentsOf: known.properties.lowercaseMapping.utf8)
        } else {
            output.append(scalar: scalar)
        }
    }
}

/// `Strip`: white space at the ends.
struct Strip: Normalizer {
    let left: Bool
    let right: Bool

    func normalize(_ text: inout StagedText) {
        var keepsStart = true
        text.rewrite { text, output in
            let walk = ScalarWalk(bytes: text)
            var (start, end) = (0, text.count)
            if left {
                while let (scalar, next) = walk.scalar(at: start), UnicodeClass.isWhitespace(scalar) { start = next }
            }
            if right {
                while end > start, let scalar = walk.scalar(before: end), UnicodeClass.isWhitespace(scalar) {
                    end -= Unicode.Scalar(scalar).map { UTF8.width($0) } ?? 1
                }
            }
            keepsStart = start == 0
            output.append(contentsOf: text[start..<max(start, end)])
        }
        text.isAtTextStart = text.isAtTextStart && keepsStart
    }
}

/// `StripAccents`: all combining marks, of text that is decomposed already.
struct StripAccents: Normalizer {
    func normalize(_ text: inout StagedText) {
        text.map { UnicodeClass.isCombiningMark($0) ? nil : $0 }
    }
}

/// `Prepend`: before a text that is not empty.
struct Prepend: Normalizer {
    let prefix: [UInt8]

    func normalize(_ text: inout StagedText) {
        guard !text.bytes.isEmpty else { return }
        text.rewrite { text, output in
            output.append(contentsOf: prefix)
            output.append(contentsOf: text)
        }
    }
}

/// `ByteLevel`: each byte as the character that stands for it.
struct ByteLevelNormalizer: Normalizer {
    func normalize(_ text: inout StagedText) {
        text.rewrite { text, output in
            for byte in text { ByteLevel.append(byte, to: &output) }
        }
    }
}

/// `Nmt`: control characters go, and what its authors took for white space becomes a space.
struct Nmt: Normalizer {
    func normalize(_ text: inout StagedText) {
        text.map { scalar in
            switch scalar {
            case 0x01...0x08, 0x0B, 0x0E...0x1F, 0x7F, 0x8F, 0x9F: nil
            case 0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD: 0x20
            default: scalar
            }
        }
    }
}
