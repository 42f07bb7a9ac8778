extension JSONValue {
    /// The document as UTF-8: on one line, or indented by two spaces. One line is one for everybody: the three line ends of
    /// Unicode that JSON lets stand in a string, and at which Python's `str.splitlines` cuts, are escaped.
    public func serialized(pretty: Bool = false) -> [UInt8] {
        var output: [UInt8] = []
        write(to: &output, indentation: pretty ? 0 : nil)
        return output
    }

    private func write(to output: inout [UInt8], indentation: Int?) {
        switch self {
        case .null: output.append(contentsOf: "null".utf8)
        case .bool(let value): output.append(contentsOf: (value ? "true" : "false").utf8)
        case .integer(let value): output.append(contentsOf: String(value).utf8)
        case .number(let value): output.append(contentsOf: (value.isFinite ? "\(value)" : "null").utf8)
        case .float(let value): output.append(contentsOf: (value.isFinite ? "\(value)" : "null").utf8)
        case .string(let value): Self.write(value, to: &output)
        case .raw(let bytes): Self.writeRaw(bytes, to: &output)
        case .array(let elements):
            // Arrays of scalars stay on one line: a confusion matrix's rows, a list of labels.
            let nested = elements.contains { [.array, .object].contains($0.shape) }
            Self.write(elements, between: "[", "]", to: &output, indentation: nested ? indentation : nil) {
                $0.write(to: &$1, indentation: $2)
            }
        case .object(let members):
            Self.write(members, between: "{", "}", to: &output, indentation: indentation) { member, output, deeper in
                Self.write(member.name, to: &output)
                output.append(UInt8(ascii: ":"))
                if deeper != nil { output.append(UInt8(ascii: " ")) }
                member.value.write(to: &output, indentation: deeper)
            }
        }
    }

    private enum Shape { case scalar, array, object }

    private var shape: Shape {
        switch self {
        case .array: .array
        case .object: .object
        default: .scalar
        }
    }

    private static func write<Element>(
        _ elements: [Element], between open: Unicode.Scalar, _ close: Unicode.Scalar, to output: inout [UInt8],
        indentation: Int?, _ write: (Element, inout [UInt8], Int?) -> Void
    ) {
        func newLine(_ indentation: Int, _ output: inout [UInt8]) {
            output.append(UInt8(ascii: "\n"))
            output.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * indentation))
        }
        output.append(UInt8(ascii: open))
        for (index, element) in elements.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            if let indentation { newLine(indentation + 1, &output) }
            write(element, &output, indentation.map { $0 + 1 })
        }
        if let indentation, !elements.isEmpty { newLine(indentation, &output) }
        output.append(UInt8(ascii: close))
    }

    private static func write(_ string: String, to output: inout [UInt8]) {
        let digits = Array("0123456789abcdef".utf8)
        output.append(UInt8(ascii: "\""))
        for byte in string.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): output += [UInt8(ascii: "\\"), byte]
            case 0x0A: output += Array("\\n".utf8)
            case 0x0D: output += Array("\\r".utf8)
            case 0x09: output += Array("\\t".utf8)
            case 0..<0x20: output += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default:
                output.append(byte)
                if lineEndsEnd(byte) { escapeLineEnd(&output) }
            }
        }
        output.append(UInt8(ascii: "\""))
    }

    /// JSON as it stood: line ends between its values become spaces, those in its strings are escaped.
    private static func writeRaw(_ bytes: [UInt8], to output: inout [UInt8]) {
        for byte in bytes {
            output.append(byte == 0x0A || byte == 0x0D ? 0x20 : byte)
            if lineEndsEnd(byte) { escapeLineEnd(&output) }
        }
    }

    /// U+0085, U+2028 and U+2029: in UTF-8, and as JSON may have them too.
    private static let lineEnds: [(bytes: [UInt8], escape: [UInt8])] = [
        ([0xC2, 0x85], Array("\\u0085".utf8)), ([0xE2, 0x80, 0xA8], Array("\\u2028".utf8)),
        ([0xE2, 0x80, 0xA9], Array("\\u2029".utf8)),
    ]

    private static func lineEndsEnd(_ byte: UInt8) -> Bool { byte == 0x85 || byte == 0xA8 || byte == 0xA9 }

    /// Escapes a line end that `output` ends with.
    private static func escapeLineEnd(_ output: inout [UInt8]) {
        for (bytes, escape) in lineEnds where output.suffix(bytes.count).elementsEqual(bytes) {
            output.removeLast(bytes.count)
            output += escape
            return
        }
    }
}
