/// A tensor to be written: row-major and little-endian.
struct NewTensor {
    let name: String
    let type: ElementType
    let shape: [Int]
    let bytes: [UInt8]

    init<Number>(_ name: String, _ type: ElementType, shape: [Int], _ numbers: [Number]) {
        precondition(MemoryLayout<Number>.stride == type.width && numbers.count == shape.reduce(1, *))
        self.name = name
        self.type = type
        self.shape = shape
        bytes = numbers.withUnsafeBytes { Array($0) }
    }
}

extension Checkpoint {
    /// A safetensors file, part by part, byte for byte as the reference implementation writes it: wider types first and
    /// then by name, so that every tensor is aligned, the header padded with spaces to a multiple of eight bytes.
    static func safetensors(_ tensors: [NewTensor]) -> [[UInt8]] {
        let ordered = tensors.sorted { ($1.type.width, $0.name) < ($0.type.width, $1.name) }
        var members = [JSONValue.Member("__metadata__", ["format": "pt"])]
        var end = 0
        for tensor in ordered {
            let begin = end
            end += tensor.bytes.count
            members.append(
                .init(
                    tensor.name,
                    [
                        "dtype": .string(tensor.type.rawValue), "shape": .array(tensor.shape.map(JSONValue.integer)),
                        "data_offsets": [.integer(begin), .integer(end)],
                    ]))
        }
        var header = JSONValue.object(members).serialized()
        header += repeatElement(UInt8(ascii: " "), count: (8 - header.count % 8) % 8)
        return [withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) } + header] + ordered.map(\.bytes)
    }
}
