/// What `torch.save` writes of a state dict, `pytorch_model.bin`.
extension Checkpoint {
    package static func readTorch(path: String) throws(InputError) -> Checkpoint {
        let file = try MappedFile(path: path)
        let (tensors, storages) = Unpickler.isLegacy(file.bytes) ? try legacy(file) : try zipped(file)
        var stored: [String: StoredTensor] = [:]
        for (name, tensor) in tensors { stored[name] = try tensor.stored(name, in: storages[tensor.storage.key], of: file) }
        return Checkpoint(file: file, tensors: stored)
    }

    private typealias Contents = (tensors: [(String, Unpickler.Tensor)], storages: [String: UnsafeRawBufferPointer])

    /// From PyTorch 1.6 on: a zip of `NAME/data.pkl`, the pickled state dict, and `NAME/data/KEY`, a storage each.
    private static func zipped(_ file: MappedFile) throws(InputError) -> Contents {
        let archive = try ZipArchive(file)
        let pickleNames = archive.entries.keys.filter { $0.hasSuffix("/data.pkl") }
        guard pickleNames.count == 1, let pickleName = pickleNames.first, let pickle = archive.entries[pickleName] else {
            throw InputError(
                file.name, "has \(pickleNames.count) entries data.pkl: it is a zip, but not one that torch.save wrote")
        }
        let folder = pickleName.dropLast("data.pkl".count)
        if let order = archive.entries[folder + "byteorder"], String(decoding: order, as: UTF8.self) != "little" {
            throw bigEndian(file)
        }
        var unpickler = Unpickler(pickle, file: file.name)
        let prefix = folder + "data/"
        let storages = archive.entries.filter { $0.key.hasPrefix(prefix) }
            .map { (String($0.key.dropFirst(prefix.count)), $0.value) }
        return (try unpickler.stateDict(), Dictionary(storages) { first, _ in first })
    }

    /// Before: five pickles (magic number, protocol, the system, the state dict, the storages' keys), then the storages, each
    /// with its count of numbers before it. torch/serialization.py, `_legacy_save`.
    private static func legacy(_ file: MappedFile) throws(InputError) -> Contents {
        var unpickler = Unpickler(file.bytes, file: file.name)
        let isLittleEndian = try unpickler.legacyHeader()
        guard isLittleEndian else { throw bigEndian(file) }
        let tensors = try unpickler.stateDict()
        let widths = Dictionary(tensors.map { ($0.1.storage.key, $0.1.storage.type.width) }) { first, _ in first }
        var storages: [String: UnsafeRawBufferPointer] = [:]
        let keys = try unpickler.strings()
        var position = unpickler.position
        for key in keys {
            guard position <= file.bytes.count - 8, let width = widths[key],
                let size = Int(exactly: file.bytes.littleEndian(UInt64.self, at: position)).flatMap({
                    byteCount(shape: [$0], width: width)
                }), size <= file.bytes.count - position - 8
            else { throw InputError(file.name, "is truncated or damaged at storage \(key). Fetch it again") }
            position += 8
            storages[key] = UnsafeRawBufferPointer(rebasing: file.bytes[position..<position + size])
            position += size
        }
        return (tensors, storages)
    }

    private static func bigEndian(_ file: MappedFile) -> InputError {
        InputError(file.name, "was saved on a big-endian machine; only little-endian files are read")
    }
}

extension Unpickler.Tensor {
    /// The tensor in its storage, nil where the file has none, with all that it claims checked.
    fileprivate func stored(
        _ name: String, in bytes: UnsafeRawBufferPointer?, of file: MappedFile
    ) throws(InputError) -> StoredTensor {
        func fail(_ problem: String) -> InputError { InputError(file.name, "tensor \"\(name)\" \(problem)") }
        guard let bytes else { throw fail("needs storage \(storage.key), which the archive does not have") }
        let type = storage.type
        guard let available = Checkpoint.byteCount(shape: [storage.count], width: type.width), available <= bytes.count
        else {
            throw fail(
                "has a storage of \(bytes.count) bytes; \(storage.count) numbers in "
                    + "\(type.rawValue) need more. The file is damaged")
        }
        guard Checkpoint.byteCount(shape: shape, width: type.width) != nil,
            let start = Checkpoint.byteCount(shape: [offset], width: type.width), start <= available,
            let size = span.flatMap({ Checkpoint.byteCount(shape: [$0], width: type.width) }), size <= available - start
        else { throw fail("with shape \(shape) reaches past its storage of \(storage.count) numbers") }
        return StoredTensor(
            type: type, shape: shape, bytes: UnsafeRawBufferPointer(rebasing: bytes[start..<start + size]), file: file,
            strides: isContiguous ? nil : strides)
    }

    /// From its first number to behind its last; nil where that does not fit an Int.
    private var span: Int? {
        if shape.contains(0) { return 0 }
        var last = 0
        for (extent, stride) in zip(shape, strides) {
            let (reach, overflow) = (extent - 1).multipliedReportingOverflow(by: stride)
            let (sum, overflows) = last.addingReportingOverflow(reach)
            if overflow || overflows { return nil }
            last = sum
        }
        return last + 1
    }
}
