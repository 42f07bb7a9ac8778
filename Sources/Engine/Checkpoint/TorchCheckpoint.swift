/// `pytorch_model.bin`: a zip of `NAME/data.pkl`, a pickled state dict, and `NAME/data/KEY`, a storage each.
extension Checkpoint {
    package static func readTorch(path: String) throws(InputError) -> Checkpoint {
        let file = try MappedFile(path: path)
        let archive = try ZipArchive(file)
        let pickleNames = archive.entries.keys.filter { $0.hasSuffix("/data.pkl") }
        guard pickleNames.count == 1, let pickleName = pickleNames.first, let pickle = archive.entries[pickleName] else {
            throw InputError(
                file.name, "has \(pickleNames.count) entries data.pkl: it is a zip, but not one that torch.save wrote")
        }
        let folder = pickleName.dropLast("data.pkl".count)
        if let order = archive.entries[folder + "byteorder"], String(decoding: order, as: UTF8.self) != "little" {
            throw InputError(file.name, "was saved on a big-endian machine; only little-endian files are read")
        }
        var unpickler = Unpickler(pickle, file: file.name)
        var tensors: [String: StoredTensor] = [:]
        for (name, tensor) in try unpickler.stateDict() {
            func fail(_ problem: String) -> InputError { InputError(file.name, "tensor \"\(name)\" \(problem)") }
            guard let storage = archive.entries["\(folder)data/\(tensor.storage.key)"] else {
                throw fail("needs storage \(tensor.storage.key), which the archive does not have")
            }
            let type = tensor.storage.type
            guard let available = byteCount(shape: [tensor.storage.count], width: type.width),
                available <= storage.count
            else {
                throw fail(
                    "has a storage of \(storage.count) bytes; \(tensor.storage.count) numbers in "
                        + "\(type.rawValue) need more. The file is damaged")
            }
            guard let size = byteCount(shape: tensor.shape, width: type.width),
                let start = byteCount(shape: [tensor.offset], width: type.width), start <= available,
                size <= available - start
            else { throw fail("with shape \(tensor.shape) reaches past its storage of \(tensor.storage.count) numbers") }
            guard tensor.isContiguous else {
                throw fail(
                    "is not contiguous: shape \(tensor.shape), strides \(tensor.strides). "
                        + "Save the model with model.save_pretrained")
            }
            let bytes = UnsafeRawBufferPointer(rebasing: storage[start..<start + size])
            tensors[name] = StoredTensor(type: type, shape: tensor.shape, bytes: bytes, file: file)
        }
        return Checkpoint(file: file, tensors: tensors)
    }
}
