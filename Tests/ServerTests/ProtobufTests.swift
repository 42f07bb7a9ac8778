import Server
import Testing

/// Protocol buffers' wire format.
@Suite struct ProtobufTests {
    private func fields(_ bytes: [UInt8]) throws -> [UInt64: [ProtobufReader.Value]] {
        var reader = ProtobufReader(bytes[...])
        var fields: [UInt64: [ProtobufReader.Value]] = [:]
        while let (number, value) = try reader.next() { fields[number, default: []].append(value) }
        return fields
    }

    @Test func `the format's own examples are written and read`() throws {
        // https://protobuf.dev/programming-guides/encoding: 150 as field 1, "testing" as field 2, 3, 270, 86942 packed as field 6.
        let examples: [([UInt8], (inout ProtobufWriter) -> Void)] = [
            ([0x08, 0x96, 0x01], { $0.write(1, number: 150) }),
            ([0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67], { $0.write(2, "testing") }),
            ([0x32, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05], { $0.write(6, [3, 270, 86942]) }),
            ([0x0a, 0x0a] + Array(repeating: 0xff, count: 9) + [0x01], { $0.write(1, [-1]) }),
            ([], { $0.write(1, "") }), ([], { $0.write(1, false) }), ([0x0a, 0x00], { $0.write(1, [UInt8]()) }),
        ]
        for (bytes, write) in examples { #expect(ProtobufWriter(write).bytes == bytes) }
        #expect(try fields(examples[1].0)[2]?[0].string() == "testing")
        #expect(try fields(examples[2].0)[6]?[0].integers() == [3, 270, 86942])
        #expect(try fields(examples[3].0)[1]?[0].integers() == [-1])
        // One by one, with a number of fixed size of either length between.
        let unpacked: [UInt8] = [0x30, 0x03, 0x0d, 1, 2, 3, 4, 0x30, 0x8e, 0x02, 0x09, 1, 2, 3, 4, 5, 6, 7, 8]
        #expect(try fields(unpacked)[6]?.flatMap { try $0.integers() } == [3, 270])
        #expect(try fields(unpacked).keys.sorted() == [6])
    }

    @Test(
        arguments: [
            [0x08], [0x08, 0x80], [0x12, 0x05, 0x61], [0x0b], [0x0d, 1, 2, 3], [0x09, 1],
            [0x12] + Array(repeating: 0xff, count: 9) + [1],
            [0x08] + Array(repeating: 0x80, count: 10) + [1],
        ] as [[UInt8]])
    func `a message that ends too early, or has a type that is no more, is refused`(bytes: [UInt8]) {
        #expect(throws: RequestError.self) { try fields(bytes) }
    }

    @Test func `a string that is not UTF-8 and a number in the place of bytes are refused`() throws {
        #expect(throws: RequestError.self) { try fields([0x0a, 0x01, 0xff])[1]?[0].string() }
        #expect(throws: RequestError.self) { try fields([0x08, 0x01])[1]?[0].bytes() }
        #expect(throws: RequestError.self) { try fields([0x0a, 0x01, 0x80])[1]?[0].integers() }
    }
}
