/// A size of the architecture and the setting of `config.json` that it comes from.
package struct Extent: Sendable {
    package let value: Int
    package let setting: String

    package init(_ value: Int, _ setting: String) {
        self.value = value
        self.setting = setting
    }
}

/// Hands out a checkpoint's tensors as f32, each with the shape the architecture needs, and knows which were not asked for.
package struct WeightReader {
    private let checkpoint: Checkpoint
    private let isQuantized: Bool
    private var unused: Set<String>

    /// - Parameter isQuantized: whether config.json says that there are I8 tensors.
    package init(_ checkpoint: Checkpoint, isQuantized: Bool) {
        self.checkpoint = checkpoint
        self.isQuantized = isQuantized
        unused = Set(checkpoint.tensors.keys)
    }

    package mutating func vector(_ name: String, _ count: Extent) throws(InputError) -> Weights {
        try weights(name, rows: nil, columns: count)
    }

    package mutating func matrix(_ name: String, _ rows: Extent, _ columns: Extent) throws(InputError) -> Weights {
        try weights(name, rows: rows, columns: columns)
    }

    /// Every tensor must have been used, but those that `ignored` names.
    package func verifyAllUsed(except ignored: (String) -> Bool) throws(InputError) {
        let unknown = unused.filter { !ignored($0) }.sorted()
        guard let first = unknown.first else { return }
        throw InputError(
            checkpoint.file.name, "tensor \"\(first)\"\(unknown.count > 1 ? " (and \(unknown.count - 1) more)" : "") "
                + "is not one of this architecture's. Check that config.json comes from the same checkpoint")
    }

    private mutating func weights(_ name: String, rows: Extent?, columns: Extent) throws(InputError) -> Weights {
        let settings = [rows, columns].compactMap(\.self)
        let tensor = try take(name, settings)
        let rowCount = rows?.value ?? 1
        switch tensor.type {
        case .f32, .f16, .bf16: return Weights(tensor, rows: rowCount, columns: columns.value)
        case .i8:
            guard isQuantized else {
                throw InputError(
                    checkpoint.file.name, "tensor \"\(name)\" is I8, but config.json has no quantization_config. "
                        + "Check that both come from the same checkpoint")
            }
            let scaleShape = settings.dropLast() + [Extent(1, "one scale a row")]
            let scale = try take(name + "_scale", Array(scaleShape))
            guard scale.type == .f32 else {
                throw InputError(checkpoint.file.name, "tensor \"\(name)_scale\" has type \(scale.type.rawValue), not F32")
            }
            return Weights(tensor, scale: scale, rows: rowCount, columns: columns.value)
        default:
            throw InputError(
                checkpoint.file.name, "tensor \"\(name)\" has type \(tensor.type.rawValue); supported are F32, F16, BF16 and I8")
        }
    }

    private mutating func take(_ name: String, _ extents: [Extent]) throws(InputError) -> StoredTensor {
        guard let tensor = checkpoint.tensors[name] else {
            throw InputError(
                checkpoint.file.name, "has no tensor \"\(name)\", which the architecture in config.json needs. "
                    + "Check that both come from the same checkpoint")
        }
        unused.remove(name)
        guard tensor.shape == extents.map(\.value) else {
            throw InputError(
                checkpoint.file.name, "tensor \"\(name)\" has shape \(tensor.shape); config.json "
                    + "(\(extents.map(\.setting).joined(separator: ", "))) needs \(extents.map(\.value)). "
                    + "Check that both come from the same checkpoint")
        }
        return tensor
    }
}
