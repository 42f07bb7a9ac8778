/// A size of the architecture and the setting of `config.json` that it comes from.
package struct Extent: Sendable {
    package let value: Int
    package let setting: String

    package init(_ value: Int, _ setting: String) {
        self.value = value
        self.setting = setting
    }
}

/// Hands out a checkpoint's tensors, each with the shape the architecture needs and packed for the products, and knows
/// which were not asked for.
package struct WeightReader {
    /// Owns what the weights handed out point to.
    package let arena: Arena
    private let checkpoint: Checkpoint
    private let isQuantized: Bool
    private let format: Linear.Format
    private let instructionSet: InstructionSet
    private var unused: Set<String>

    /// - Parameter isQuantized: whether config.json says that there are I8 tensors.
    package init(
        _ checkpoint: Checkpoint, isQuantized: Bool, format: Linear.Format, on instructionSet: InstructionSet,
        into arena: Arena
    ) {
        self.checkpoint = checkpoint
        self.isQuantized = isQuantized
        self.format = format
        self.instructionSet = instructionSet
        self.arena = arena
        unused = Set(checkpoint.tensors.keys)
    }

    package mutating func vector(_ name: String, _ count: Extent) throws(InputError) -> Vector {
        try Vector([try matrix(name, rows: nil, columns: count)], in: arena)
    }

    package mutating func table(_ name: String, _ rows: Extent, _ columns: Extent) throws(InputError) -> EmbeddingTable {
        EmbeddingTable(matrix: try matrix(name, rows: rows, columns: columns))
    }

    /// The layer `name`.
    package mutating func linear(_ name: String, from inputs: Extent, to outputs: Extent) throws(InputError) -> Linear {
        try linear([name], from: inputs, to: outputs)
    }

    /// Layers with the same inputs, `outputs` each, as one.
    package mutating func linear(_ names: [String], from inputs: Extent, to outputs: Extent) throws(InputError) -> Linear {
        try linear(names, from: inputs, to: outputs, format)
    }

    /// The layer onto the labels: f32 also where the others are int8, for it is small and decides.
    package mutating func labelProjection(_ name: String, from inputs: Extent, to labels: Extent) throws(InputError)
        -> Linear
    {
        try linear([name], from: inputs, to: labels, format == .int8 ? .f32 : format)
    }

    private mutating func linear(
        _ names: [String], from inputs: Extent, to outputs: Extent, _ format: Linear.Format
    ) throws(InputError) -> Linear {
        var weights: [StoredMatrix] = []
        var biases: [StoredMatrix] = []
        for name in names {
            weights.append(try matrix("\(name).weight", rows: outputs, columns: inputs))
            biases.append(try matrix("\(name).bias", rows: nil, columns: outputs))
        }
        return try Linear(
            weights, bias: try Vector(biases, in: arena), format: format, on: instructionSet, in: arena)
    }

    /// Every tensor must have been used, but those that `ignored` names.
    package func verifyAllUsed(except ignored: (String) -> Bool) throws(InputError) {
        let unknown = unused.filter { !ignored($0) }.sorted()
        guard let first = unknown.first else { return }
        throw InputError(
            checkpoint.file.name,
            "tensor \"\(first)\"\(unknown.count > 1 ? " (and \(unknown.count - 1) more)" : "") "
                + "is not one of this architecture's. Check that config.json comes from the same checkpoint")
    }

    private mutating func matrix(_ name: String, rows: Extent?, columns: Extent) throws(InputError) -> StoredMatrix {
        let settings = [rows, columns].compactMap(\.self)
        let tensor = try take(name, settings)
        let rowCount = rows?.value ?? 1
        switch tensor.type {
        case .f32, .f16, .bf16: return StoredMatrix(tensor, rows: rowCount, columns: columns.value)
        case .i8:
            guard isQuantized else {
                throw InputError(
                    checkpoint.file.name,
                    "tensor \"\(name)\" is I8, but config.json has no quantization_config. "
                        + "Check that both come from the same checkpoint")
            }
            let scaleShape = settings.dropLast() + [Extent(1, "one scale a row")]
            let scale = try take(name + "_scale", Array(scaleShape))
            guard scale.type == .f32 else {
                throw InputError(checkpoint.file.name, "tensor \"\(name)_scale\" has type \(scale.type.rawValue), not F32")
            }
            return StoredMatrix(tensor, scales: scale, rows: rowCount, columns: columns.value)
        default:
            throw InputError(
                checkpoint.file.name,
                "tensor \"\(name)\" has type \(tensor.type.rawValue); supported are F32, F16, BF16 and I8")
        }
    }

    private mutating func take(_ name: String, _ extents: [Extent]) throws(InputError) -> StoredTensor {
        guard let tensor = checkpoint.tensors[name] else {
            throw InputError(
                checkpoint.file.name,
                "has no tensor \"\(name)\", which the architecture in config.json needs. "
                    + "Check that both come from the same checkpoint")
        }
        unused.remove(name)
        guard tensor.shape == extents.map(\.value) else {
            throw InputError(
                checkpoint.file.name,
                "tensor \"\(name)\" has shape \(tensor.shape); config.json "
                    + "(\(extents.map(\.setting).joined(separator: ", "))) needs \(extents.map(\.value)). "
                    + "Check that both come from the same checkpoint")
        }
        return tensor
    }
}
