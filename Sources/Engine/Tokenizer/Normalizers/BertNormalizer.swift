import Foundation

/// BERT's basic tokenization: cleaning, CJK characters apart, accents off, lower case, then words and punctuation.
struct BertNormalizer: Sendable {
    var cleansText = true
    var splitsChinese = true
    var stripsAccents = true
    var lowercases = true

    /// Calls `body` with each word's UTF-8, normalized.
    func forEachWord(of text: UnsafeBufferPointer<UInt8>, _ body: (UnsafeBufferPointer<UInt8>) -> Void) {
        var word: [UInt8] = []
        func finish() {
            if !word.isEmpty { word.withUnsafeBufferPointer(body) }
            word.removeAll(keepingCapacity: true)
        }
        func append(_ scalar: UInt32) {
            if UnicodeClass.isWhitespace(scalar) { return finish() }
            let isAlone = UnicodeClass.isBertPunctuation(scalar)
            if isAlone { finish() }
            if scalar < 0x80 {
                word.append(UInt8(scalar))
            } else if let scalar = Unicode.Scalar(scalar), let encoded = UTF8.encode(scalar) {
                word.append(contentsOf: encoded)
            }
            if isAlone { finish() }
        }
        if text.allSatisfy({ $0 < 0x80 }) {
            for byte in text {
                let scalar = UInt32(byte)
                guard let cleaned = cleaned(scalar) else { continue }
                append(lowercases && 0x41...0x5A ~= cleaned ? cleaned | 0x20 : cleaned)
            }
        } else {
            for scalar in normalized(text) { append(scalar) }
        }
        finish()
    }

    /// nil for a scalar that goes, U+0020 for white space.
    private func cleaned(_ scalar: UInt32) -> UInt32? {
        guard cleansText else { return scalar }
        // The white space among the controls stays; the other controls, U+000B and U+0085 too, go.
        if scalar == 0x09 || scalar == 0x0A || scalar == 0x0D { return 0x20 }
        if UnicodeClass.isRemovedByBert(scalar) { return nil }
        return UnicodeClass.isWhitespace(scalar) ? 0x20 : scalar
    }

    private func normalized(_ text: UnsafeBufferPointer<UInt8>) -> [UInt32] {
        var scalars = String.UnicodeScalarView()
        for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
            guard let cleaned = cleaned(scalar.value), let scalar = Unicode.Scalar(cleaned) else { continue }
            if splitsChinese, UnicodeClass.isChinese(cleaned) {
                scalars.append(" ")
                scalars.append(scalar)
                scalars.append(" ")
            } else {
                scalars.append(scalar)
            }
        }
        if stripsAccents { scalars = Self.withoutAccents(scalars) }
        guard lowercases else { return scalars.map(\.value) }
        return scalars.flatMap { $0.properties.lowercaseMapping.unicodeScalars.map(\.value) }
    }

    /// Scalar by scalar: decomposing a whole text would also sort its marks, in quadratic time, only for them to go.
    private static func withoutAccents(_ text: String.UnicodeScalarView) -> String.UnicodeScalarView {
        var result = String.UnicodeScalarView()
        for scalar in text {
            if scalar.value < 0xC0 {
                result.append(scalar)
            } else if !UnicodeClass.isNonspacingMark(scalar.value) {
                let decomposed = String(scalar).decomposedStringWithCanonicalMapping.unicodeScalars
                result.append(contentsOf: decomposed.lazy.filter { !UnicodeClass.isNonspacingMark($0.value) })
            }
        }
        return result
    }
}
