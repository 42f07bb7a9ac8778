extension JSONValue {
    /// The document as UTF-8: on one line, or indented by two spaces.
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
        case .raw(let bytes): output.append(contentsOf: bytes)
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
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}
