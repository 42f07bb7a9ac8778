/// A message of protocol buffers, field by field (https://protobuf.dev/programming-guides/encoding). Here and not by a package:
/// these few messages need two of its five types, and SwiftProtobuf takes two minutes of a processor to build.
package struct ProtobufReader {
    package enum Value {
        case number(UInt64)
        case bytes(ArraySlice<UInt8>)
    }

    private var rest: ArraySlice<UInt8>

    package init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// The next field that is no number of fixed size, which no message here has; nil behind the last.
    package mutating func next() throws(RequestError) -> (number: UInt64, value: Value)? {
        while !rest.isEmpty {
            let key = try number()
            switch key & 7 {
            case 0: return (key >> 3, .number(try number()))
            case 1: _ = try take(8)
            case 2: return (key >> 3, .bytes(try take(number())))
            case 5: _ = try take(4)
            default: throw Self.malformed("a field has the type \(key & 7)")
            }
        }
        return nil
    }

    private mutating func number() throws(RequestError) -> UInt64 {
        var number: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard let byte = rest.popFirst() else { throw Self.malformed("it ends within a number") }
            number |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return number }
        }
        throw Self.malformed("a number has more than ten bytes")
    }

    private mutating func take(_ count: UInt64) throws(RequestError) -> ArraySlice<UInt8> {
        guard count <= UInt64(rest.count) else {
            throw Self.malformed("a field has \(count) bytes, of which \(rest.count) are there")
        }
        defer { rest = rest.dropFirst(Int(count)) }
        return rest.prefix(Int(count))
    }

    static func malformed(_ why: String) -> RequestError {
        RequestError(.badRequest, "bad_request", "the message is no well-formed protocol buffer: \(why)")
    }
}

extension ProtobufReader.Value {
    package func bytes() throws(RequestError) -> ArraySlice<UInt8> {
        guard case .bytes(let bytes) = self else { throw ProtobufReader.malformed("a number stands where bytes belong") }
        return bytes
    }

    package func string() throws(RequestError) -> String {
        let bytes = try bytes()
        guard bytes.isValidUTF8 else { throw ProtobufReader.malformed("a string is not UTF-8") }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Of a field with several: one of them, or all in one.
    package func integers() throws(RequestError) -> [Int] {
        switch self {
        case .number(let number): return [Int(truncatingIfNeeded: number)]
        case .bytes(let bytes):
            var integers: [Int] = []
            var reader = ProtobufReader(bytes)
            while let number = try reader.nextNumber() { integers.append(Int(truncatingIfNeeded: number)) }
            return integers
        }
    }
}

extension ProtobufReader {
    fileprivate mutating func nextNumber() throws(RequestError) -> UInt64? { rest.isEmpty ? nil : try number() }
}

/// Writes such messages. What is empty, 0 or false is left out, as it is what a reader takes a missing field for.
package struct ProtobufWriter {
    package private(set) var bytes: [UInt8] = []

    package init(_ write: (inout ProtobufWriter) -> Void) { write(&self) }

    package mutating func write(_ field: UInt64, _ value: Bool) { write(field, number: value ? 1 : 0) }

    package mutating func write(_ field: UInt64, number: UInt64) {
        guard number != 0 else { return }
        write(field << 3)
        write(number)
    }

    package mutating func write(_ field: UInt64, _ value: String) {
        if !value.isEmpty { write(field, Array(value.utf8)) }
    }

    /// Also where there are none: one of several.
    package mutating func write(_ field: UInt64, _ value: [UInt8]) {
        write(field << 3 | 2)
        write(UInt64(value.count))
        bytes += value
    }

    package mutating func write(_ field: UInt64, _ write: (inout ProtobufWriter) -> Void) {
        self.write(field, ProtobufWriter(write).bytes)
    }

    package mutating func write(_ field: UInt64, _ values: [Int]) {
        write(field) { packed in
            for value in values { packed.write(UInt64(bitPattern: Int64(value))) }
        }
    }

    package mutating func write(_ field: UInt64, _ values: [Float]) {
        write(field, values.flatMap { $0.bitPattern.littleEndianBytes })
    }

    private mutating func write(_ number: UInt64) {
        var number = number
        while number >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: number) | 0x80)
            number >>= 7
        }
        bytes.append(UInt8(number))
    }
}
