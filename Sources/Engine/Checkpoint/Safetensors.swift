/// safetensors: eight bytes header length, a JSON header, the data.
/// https://huggingface.co/docs/safetensors/index#format
extension Checkpoint {
    /// As in the reference implementation.
    private static let maximumHeaderBytes = 100_000_000

    package static func readSafetensors(path: String) throws(InputError) -> Checkpoint {
        let file = try MappedFile(path: path)
        guard file.bytes.count >= 8 else {
            throw InputError(file.name, "is \(file.bytes.count) bytes long, too short for a safetensors file")
        }
        let length = file.bytes.littleEndian(UInt64.self, at: 0)
        guard length <= maximumHeaderBytes else {
            throw InputError(
                file.name,
                "claims a header of \(length) bytes; at most \(maximumHeaderBytes) are allowed. "
                    + "It is not a safetensors file, or damaged")
        }
        let dataStart = 8 + Int(length)
        guard dataStart <= file.bytes.count else {
            throw InputError(
                file.name, "is truncated: its header takes \(length) bytes, the file has \(file.bytes.count). Fetch it again"
            )
        }
        var reader = JSONReader(Array(file.bytes[8..<dataStart]))
        var entries: [(name: String, entry: JSONValue)] = []
        do {
            try reader.object { (reader, name) throws(JSONError) in
                entries.append((String(decoding: name, as: UTF8.self), try reader.value()))
            }
            try reader.end()
        } catch {
            throw InputError(file.name, "its header is not JSON: \(error)")
        }
        var tensors: [String: StoredTensor] = [:]
        var ranges: [(range: Range<Int>, name: String)] = []
        for (name, entry) in entries where name != "__metadata__" {
            let (tensor, range) = try tensor(name, entry, in: file, dataStart: dataStart)
            guard tensors.updateValue(tensor, forKey: name) == nil else {
                throw InputError(file.name, "tensor \"\(name)\" stands twice in the header")
            }
            ranges.append((range, name))
        }
        try verifyCoverage(ranges, dataBytes: file.bytes.count - dataStart, file: file.name)
        return Checkpoint(file: file, tensors: tensors)
    }

    private static func tensor(
        _ name: String, _ entry: JSONValue, in file: MappedFile, dataStart: Int
    ) throws(InputError) -> (StoredTensor, range: Range<Int>) {
        func fail(_ problem: String) -> InputError { InputError(file.name, "tensor \"\(name)\" \(problem)") }
        guard let typeName = entry["dtype"]?.string, let shapeValues = entry["shape"]?.array,
            let offsets = entry["data_offsets"]?.array
        else { throw fail("needs dtype, shape and data_offsets in the header") }
        guard let type = ElementType(rawValue: typeName) else {
            throw fail("has dtype \(typeName); supported are F32, F16, BF16 and I8")
        }
        let shape = shapeValues.compactMap(\.integer)
        guard shape.count == shapeValues.count, let byteCount = byteCount(shape: shape, width: type.width) else {
            throw fail("has a shape that is not a list of sizes")
        }
        let dataBytes = file.bytes.count - dataStart
        guard offsets.count == 2, let begin = offsets[0].integer, let end = offsets[1].integer, begin >= 0, begin <= end,
            end <= dataBytes
        else {
            let found = String(decoding: JSONValue.array(offsets).serialized(), as: UTF8.self)
            throw fail(
                "has data_offsets \(found), outside the file's \(dataBytes) data bytes: "
                    + "the file is truncated or damaged. Fetch it again")
        }
        guard end - begin == byteCount else {
            throw fail("has \(end - begin) bytes; shape \(shape) in \(typeName) needs \(byteCount)")
        }
        let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[(dataStart + begin)..<(dataStart + end)])
        return (StoredTensor(type: type, shape: shape, bytes: bytes, file: file), begin..<end)
    }

    /// The tensors must cover the data without overlap and without holes, as the reference implementation asks.
    private static func verifyCoverage(
        _ ranges: [(range: Range<Int>, name: String)], dataBytes: Int, file: String
    ) throws(InputError) {
        var end = 0
        for (range, name) in ranges.sorted(by: {
            ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
        }) {
            guard range.lowerBound >= end else {
                throw InputError(file, "tensor \"\(name)\" overlaps the one before it in the data")
            }
            guard range.lowerBound == end else {
                throw InputError(file, "has \(range.lowerBound - end) bytes before tensor \"\(name)\" that belong to none")
            }
            end = range.upperBound
        }
        guard end == dataBytes else {
            throw InputError(file, "has \(dataBytes - end) bytes behind the last tensor that belong to none")
        }
    }
}
