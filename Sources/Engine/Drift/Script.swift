/// The script that most of a text's letters are of.
package enum Script: Int, Sendable, CaseIterable {
    case latin, greek, cyrillic, hebrew, arabic, devanagari, thai, hangul, kana, han
    /// Of a script that has no name here.
    case other
    /// No script has four fifths of the letters.
    case mixed
    /// There are no letters.
    case none

    package var name: String { String(describing: self) }

    /// By its blocks; nil for what is no letter.
    static func of(_ scalar: UInt32) -> Script? {
        if scalar < 0x80 { return 0x61...0x7A ~= scalar | 0x20 ? .latin : nil }
        guard UnicodeClass.isLetter(scalar) else { return nil }
        switch scalar {
        case 0x80..<0x2B0, 0x1E00..<0x1F00, 0x2C60..<0x2C80, 0xA720..<0xA800, 0xAB30..<0xAB70, 0xFB00..<0xFB07,
            0xFF21..<0xFF5B:
            return .latin
        case 0x370..<0x400, 0x1F00..<0x2000: return .greek
        case 0x400..<0x530, 0x1C80..<0x1C90, 0xA640..<0xA6A0: return .cyrillic
        case 0x590..<0x600, 0xFB1D..<0xFB50: return .hebrew
        case 0x600..<0x700, 0x750..<0x780, 0x870..<0x900, 0xFB50..<0xFE00, 0xFE70..<0xFF00: return .arabic
        case 0x900..<0x980, 0xA8E0..<0xA900: return .devanagari
        case 0xE00..<0xE80: return .thai
        case 0x1100..<0x1200, 0x3130..<0x3190, 0xA960..<0xA980, 0xAC00..<0xD800: return .hangul
        case 0x3040..<0x3100, 0x31F0..<0x3200, 0xFF66..<0xFFA0: return .kana
        case 0x3005...0x3007, 0x3400..<0x4DC0, 0x4E00..<0xA000, 0xF900..<0xFB00, 0x20000..<0x32400: return .han
        default: return .other
        }
    }

    /// Emoji and pictographs, without skin tones.
    static func isEmoji(_ scalar: UInt32) -> Bool {
        0x2600..<0x27C0 ~= scalar || 0x1F000..<0x1FB00 ~= scalar && !(0x1F3FB...0x1F3FF ~= scalar)
    }
}
