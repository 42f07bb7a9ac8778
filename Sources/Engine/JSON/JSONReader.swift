/// Where and why a JSON text is malformed.
public struct JSONError: Error, Equatable, CustomStringConvertible {
    public let offset: Int
    public let problem: String

    public var description: String { "\(problem) at byte \(offset)" }
}

/// Reads JSON (RFC 8259) value by value, from bytes.
///
/// Foundation's decoders are not used for three reasons: their dictionaries take canonically equivalent keys for one
/// (a vocabulary may hold both "é" and "e\u{301}"), they refuse lone surrogates (a tweet cut in the middle of an emoji
/// has one; it reads as U+FFFD here), and they cannot give back a member's bytes as they stood.
package struct JSONReader {
    private let bytes: [UInt8]
    package private(set) var position = 0
    private var depth = 0

    /// Deeper nesting is refused, so that no document can exhaust the stack.
    package static let maximumDepth = 128

    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The next value, whole.
    package mutating func value() throws(JSONError) -> JSONValue {
        switch try peek() {
        case UInt8(ascii: "{"):
            var members: [JSONValue.Member] = []
            try object { (reader, name) throws(JSONError) in
                members.append(.init(String(decoding: name, as: UTF8.self), try reader.value()))
            }
            return .object(members)
        case UInt8(ascii: "["):
            var elements: [JSONValue] = []
            try array { (reader) throws(JSONError) in elements.append(try reader.value()) }
            return .array(elements)
        case UInt8(ascii: "\""): return .string(String(decoding: try string(), as: UTF8.self))
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        default: return try number()
        }
    }

    /// An object; `member` gets each name (UTF-8) and must read its value.
    package mutating func object(
        _ member: (inout JSONReader, [UInt8]) throws(JSONError) -> Void
    ) throws(JSONError) {
        try container(open: "{", close: "}") { (reader) throws(JSONError) in
            let name = try reader.string()
            try reader.expect(":")
            try member(&reader, name)
        }
    }

    /// An array; `element` must read each element.
    package mutating func array(_ element: (inout JSONReader) throws(JSONError) -> Void) throws(JSONError) {
        try container(open: "[", close: "]", element)
    }

    /// A string's content as valid UTF-8; a lone surrogate escape reads as U+FFFD.
    package mutating func string() throws(JSONError) -> [UInt8] {
        try expect("\"")
        let start = position
        while position < bytes.count, bytes[position] != UInt8(ascii: "\""), bytes[position] != UInt8(ascii: "\\"),
            bytes[position] >= 0x20
        {
            position += 1
        }
        var content = Array(bytes[start..<position])
        while true {
            guard position < bytes.count else { throw error("a string that does not end", at: start - 1) }
            let byte = bytes[position]
            position += 1
            if byte == UInt8(ascii: "\"") { break }
            if byte == UInt8(ascii: "\\") {
                content.append(contentsOf: try escape())
            } else if byte < 0x20 {
                throw error("an unescaped control character in a string", at: position - 1)
            } else {
                content.append(byte)
            }
        }
        guard content.isValidUTF8 else { throw error("a string that is not valid UTF-8", at: start) }
        return content
    }

    /// The next value's bytes as they stand.
    package mutating func rawValue() throws(JSONError) -> [UInt8] {
        _ = try peek()
        let start = position
        _ = try value()
        return Array(bytes[start..<position])
    }

    /// A number, nil for another value; without what `value` spends on numbers that may be whole.
    package mutating func double() throws(JSONError) -> Double? {
        let first = try peek()
        guard first == UInt8(ascii: "-") || UInt8(ascii: "0")...UInt8(ascii: "9") ~= first else { return try value().double }
        let start = position
        var end = start + 1
        var isPlain = true  // digits, a point, digits
        var digits: UInt64 = first == UInt8(ascii: "-") ? 0 : UInt64(first - 0x30)
        var decimals = -1
        while isPlain, end < bytes.count {
            let byte = bytes[end]
            if UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte {
                isPlain = end - start < 18
                digits = digits &* 10 &+ UInt64(byte - 0x30)
                if decimals >= 0 { decimals += 1 }
            } else if byte == UInt8(ascii: "."), decimals < 0, end > start + 1 || first != UInt8(ascii: "-") {
                decimals = 0
            } else if byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") || byte == UInt8(ascii: ".") {
                isPlain = false
            } else {
                break
            }
            end += 1
        }
        // Exact where both are: of fewer than 2⁵³ and a power of ten up to 10²² the quotient is the nearest number.
        let second = start + (first == UInt8(ascii: "-") ? 1 : 0)
        let hasLeadingZero = second + 1 < end && bytes[second] == 0x30 && bytes[second + 1] != UInt8(ascii: ".")
        guard isPlain, digits < 1 << 53, decimals != 0, decimals <= 17, end > second, !hasLeadingZero else {
            return try number().double
        }
        position = end
        let magnitude = decimals > 0 ? Double(digits) / Self.powersOfTen[decimals] : Double(digits)
        return first == UInt8(ascii: "-") ? -magnitude : magnitude
    }

    private static let powersOfTen: [Double] = (0...17).map { (0..<$0).reduce(1.0) { power, _ in power * 10 } }

    /// Whether the next value is an array.
    package mutating func nextIsArray() throws(JSONError) -> Bool { try peek() == UInt8(ascii: "[") }

    /// Only white space may follow.
    package mutating func end() throws(JSONError) {
        skipWhitespace()
        if position < bytes.count { throw error("more after the document's end") }
    }

    // MARK: - Pieces

    private mutating func container(
        open: Unicode.Scalar, close: Unicode.Scalar, _ element: (inout JSONReader) throws(JSONError) -> Void
    ) throws(JSONError) {
        try expect(open)
        depth += 1
        guard depth <= Self.maximumDepth else { throw error("nested deeper than \(Self.maximumDepth) levels") }
        defer { depth -= 1 }
        if try peek() == UInt8(ascii: close) {
            position += 1
            return
        }
        while true {
            try element(&self)
            let next = try peek()
            position += 1
            if next == UInt8(ascii: close) { return }
            guard next == UInt8(ascii: ",") else {
                throw error("expected \",\" or \"\(close)\"", at: position - 1)
            }
        }
    }

    private mutating func escape() throws(JSONError) -> [UInt8] {
        guard position < bytes.count else { throw error("a string that does not end") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"): break
        default: throw error("an unknown escape in a string", at: position - 2)
        }
        var code = try hexadecimal()
        if 0xD800..<0xDC00 ~= code, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
            bytes[position + 1] == UInt8(ascii: "u")
        {
            let before = position
            position += 2
            let low = try hexadecimal()
            if 0xDC00..<0xE000 ~= low {
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            } else {
                position = before
            }
        }
        return Array(String(Unicode.Scalar(code) ?? "\u{FFFD}").utf8)
    }

    private mutating func hexadecimal() throws(JSONError) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard position < bytes.count, let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue,
                bytes[position] < 0x80
            else { throw error("\\u without four hexadecimal digits") }
            code = code << 4 | UInt32(digit)
            position += 1
        }
        return code
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = position
        func digits(_ reader: inout JSONReader) -> Int {
            let first = reader.position
            while reader.position < reader.bytes.count,
                UInt8(ascii: "0")...UInt8(ascii: "9") ~= reader.bytes[reader.position]
            {
                reader.position += 1
            }
            return reader.position - first
        }
        var isInteger = true
        _ = take("-")
        let leading = position
        let whole = digits(&self)
        if whole == 0 { throw error("expected a value", at: start) }
        if whole > 1, bytes[leading] == UInt8(ascii: "0") { throw error("a number that starts with 0", at: start) }
        if take(".") {
            isInteger = false
            if digits(&self) == 0 { throw error("a number without digits after its point", at: start) }
        }
        if take("e") || take("E") {
            isInteger = false
            if !take("+") { _ = take("-") }
            if digits(&self) == 0 { throw error("a number without digits in its exponent", at: start) }
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isInteger, let value = Int(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw error("a number out of range", at: start) }
        return .number(value)
    }

    private mutating func literal(_ text: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for index in 0..<text.utf8CodeUnitCount {
            guard position < bytes.count, bytes[position] == text.utf8Start[index] else {
                throw error("expected a value")
            }
            position += 1
        }
        return value
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: scalar) else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ scalar: Unicode.Scalar) throws(JSONError) {
        guard try peek() == UInt8(ascii: scalar) else { throw error("expected \"\(scalar)\"") }
        position += 1
    }

    private mutating func peek() throws(JSONError) -> UInt8 {
        skipWhitespace()
        guard position < bytes.count else { throw error("the text ends too early") }
        return bytes[position]
    }

    private mutating func skipWhitespace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    private func error(_ problem: String, at offset: Int? = nil) -> JSONError {
        JSONError(offset: offset ?? position, problem: problem)
    }
}

extension Collection<UInt8> {
    /// Whether these are UTF-8 (Unicode, table 3-7).
    package var isValidUTF8: Bool {
        withContiguousStorageIfAvailable(Self.isValid) ?? Array(self).withUnsafeBufferPointer(Self.isValid)
    }

    private static func isValid(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        var position = 0
        while position < bytes.count {
            let lead = bytes[position]
            position += 1
            if lead < 0x80 { continue }
            let length: Int
            var second: ClosedRange<UInt8> = 0x80...0xBF
            switch lead {
            case 0xC2...0xDF: length = 1
            case 0xE0: (length, second) = (2, 0xA0...0xBF)
            case 0xED: (length, second) = (2, 0x80...0x9F)
            case 0xE1...0xEF: length = 2
            case 0xF0: (length, second) = (3, 0x90...0xBF)
            case 0xF4: (length, second) = (3, 0x80...0x8F)
            case 0xF1...0xF3: length = 3
            default: return false
            }
            guard position + length <= bytes.count, second.contains(bytes[position]) else { return false }
            for index in position + 1..<position + length where bytes[index] & 0xC0 != 0x80 { return false }
            position += length
        }
        return true
    }
}
