/// The entries of a zip file, zip64 included, that are stored uncompressed, as PyTorch writes them.
/// APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 to 4.3.16 and 4.5.3.
struct ZipArchive {
    let entries: [String: UnsafeRawBufferPointer]

    init(_ file: MappedFile) throws(InputError) {
        let bytes = file.bytes
        func fail(_ problem: String) -> InputError { InputError(file.name, problem) }
        guard let end = Self.endOfCentralDirectory(bytes) else {
            throw fail("is neither a zip archive nor what PyTorch wrote before 1.6, or is truncated. Fetch it again")
        }
        var count = UInt64(bytes.littleEndian(UInt16.self, at: end + 10))
        var offset = UInt64(bytes.littleEndian(UInt32.self, at: end + 16))
        if count == 0xFFFF || offset == 0xFFFF_FFFF {
            // The zip64 locator stands right before; it points to the zip64 end record.
            guard end >= 20, bytes.littleEndian(UInt32.self, at: end - 20) == 0x0706_4b50,
                let record = Int(exactly: bytes.littleEndian(UInt64.self, at: end - 12)), record <= bytes.count - 56,
                bytes.littleEndian(UInt32.self, at: record) == 0x0606_4b50
            else { throw fail("has a damaged zip64 directory") }
            count = bytes.littleEndian(UInt64.self, at: record + 32)
            offset = bytes.littleEndian(UInt64.self, at: record + 48)
        }
        guard var position = Int(exactly: offset), count <= bytes.count / 46 else {
            throw fail("has a damaged zip directory")
        }
        var entries: [String: UnsafeRawBufferPointer] = [:]
        for _ in 0..<count {
            guard position <= bytes.count - 46, bytes.littleEndian(UInt32.self, at: position) == 0x0201_4b50 else {
                throw fail("has a damaged zip directory")
            }
            let header = try CentralHeader(bytes, at: position, file: file.name)
            position = header.end
            let content = try Self.content(header, bytes, file: file.name)
            guard entries.updateValue(content, forKey: header.name) == nil else {
                throw fail("entry \"\(header.name)\" stands twice in the zip directory")
            }
        }
        self.entries = entries
    }

    private static func endOfCentralDirectory(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard bytes.count >= 22 else { return nil }
        let lowest = max(0, bytes.count - 22 - 0xFFFF)
        return stride(from: bytes.count - 22, through: lowest, by: -1)
            .first { bytes.littleEndian(UInt32.self, at: $0) == 0x0605_4b50 }
    }

    private static func content(
        _ header: CentralHeader, _ bytes: UnsafeRawBufferPointer, file: String
    ) throws(InputError) -> UnsafeRawBufferPointer {
        func fail(_ problem: String) -> InputError { InputError(file, "zip entry \"\(header.name)\" \(problem)") }
        guard header.method == 0, header.compressedSize == header.size, header.flags & 1 == 0 else {
            throw fail("is compressed or encrypted; PyTorch stores entries as they are. Save the model with torch.save")
        }
        guard let local = Int(exactly: header.offset), local <= bytes.count - 30,
            bytes.littleEndian(UInt32.self, at: local) == 0x0403_4b50
        else { throw fail("points outside the file") }
        let start =
            local + 30 + Int(bytes.littleEndian(UInt16.self, at: local + 26))
            + Int(bytes.littleEndian(UInt16.self, at: local + 28))
        guard let size = Int(exactly: header.size), start <= bytes.count, size <= bytes.count - start else {
            throw fail("reaches past the file's end")
        }
        return UnsafeRawBufferPointer(rebasing: bytes[start..<start + size])
    }
}

/// One record of the central directory.
private struct CentralHeader {
    let name: String
    let flags: UInt16
    let method: UInt16
    var compressedSize: UInt64
    var size: UInt64
    var offset: UInt64
    /// Where the next record begins.
    let end: Int

    init(_ bytes: UnsafeRawBufferPointer, at start: Int, file: String) throws(InputError) {
        let nameLength = Int(bytes.littleEndian(UInt16.self, at: start + 28))
        let extraLength = Int(bytes.littleEndian(UInt16.self, at: start + 30))
        let extraStart = start + 46 + nameLength
        end = extraStart + extraLength + Int(bytes.littleEndian(UInt16.self, at: start + 32))
        guard end <= bytes.count else { throw InputError(file, "has a damaged zip directory") }
        name = String(decoding: bytes[(start + 46)..<extraStart], as: UTF8.self)
        flags = bytes.littleEndian(UInt16.self, at: start + 8)
        method = bytes.littleEndian(UInt16.self, at: start + 10)
        compressedSize = UInt64(bytes.littleEndian(UInt32.self, at: start + 20))
        size = UInt64(bytes.littleEndian(UInt32.self, at: start + 24))
        offset = UInt64(bytes.littleEndian(UInt32.self, at: start + 42))

        // The zip64 extra field holds, in this order, those of the three that read 0xFFFFFFFF above.
        var field = extraStart
        while field <= extraStart + extraLength - 4 {
            let length = Int(bytes.littleEndian(UInt16.self, at: field + 2))
            guard field + 4 + length <= extraStart + extraLength else { break }
            if bytes.littleEndian(UInt16.self, at: field) == 1 {
                var position = field + 4
                for part in [\CentralHeader.size, \.compressedSize, \.offset] where self[keyPath: part] == 0xFFFF_FFFF {
                    guard position + 8 <= field + 4 + length else {
                        throw InputError(file, "zip entry \"\(name)\" has a damaged zip64 field")
                    }
                    self[keyPath: part] = bytes.littleEndian(UInt64.self, at: position)
                    position += 8
                }
            }
            field += 4 + length
        }
    }
}
