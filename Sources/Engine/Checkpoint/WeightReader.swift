/// A size of the architecture and the setting of `config.json` that it comes from.
package struct Extent: Sendable {
    package let value: Int
    package let setting: String

    package init(_ value: Int, _ setting: String) {
        self.value = value
        self.setting = setting
    }
}

/// A tensor that an architecture has, as a checkpoint has it.
struct Parameter: Sendable {
    enum Role {
        /// A matrix of a product or a table of rows: int8 in an int8 checkpoint.
        case matrix
        /// What stays f32 there: vectors, small tables, and the matrix onto the labels.
        case exact
    }

    let name: String
    let tensor: StoredTensor
    let role: Role
}

/// A norm whose outputs y are read by products and added to what comes out behind them, by nothing else: y − c will do as well,
/// with W·c in the products' biases and c in the bias of what is added to. Layers' names.
struct MovableMean: Sendable {
    let norm: String
    let products: [String]
    let addedTo: String
}

/// Hands out a checkpoint's tensors, each with the shape the architecture needs and packed for the products, and knows
/// which were not asked for.
package struct WeightReader {
    /// Owns what the weights handed out point to.
    package let arena: Arena
    /// What was handed out, without the scales of I8 tensors, where that is to be kept: tensors may be copies in memory.
    private(set) var parameters: [Parameter] = []
    private(set) var movableMeans: [MovableMean] = []
    private let keepsParameters: Bool
    private let recorder: InputRecorder?
    private let checkpoint: Checkpoint
    private let names: TensorNames
    private let config: ModelConfig
    private let format: Linear.Format
    private let instructionSet: InstructionSet
    private var unused: Set<String>

    package init(
        _ checkpoint: Checkpoint, _ config: ModelConfig, format: Linear.Format, on instructionSet: InstructionSet,
        into arena: Arena, keepsParameters: Bool = false, recorder: InputRecorder? = nil
    ) throws(InputError) {
        self.keepsParameters = keepsParameters
        self.recorder = recorder
        self.checkpoint = checkpoint
        self.config = config
        self.format = format
        self.instructionSet = instructionSet
        self.arena = arena
        names = try TensorNames(checkpoint, prefix: config.architecture.model.prefix)
        unused = Set(checkpoint.tensors.keys)
    }

    /// Of the activations that the layers handed out take.
    var precision: Precision { format == .int8 ? .int8 : .f32 }

    /// Operations on weights, once.
    func prepare(_ body: (Ops) -> Void) throws(InputError) { try Team.runOnce(on: instructionSet, body) }

    package mutating func vector(_ name: String, _ count: Extent) throws(InputError) -> Vector {
        try Vector([try matrix(name, rows: nil, columns: count, .exact, of: nil)], in: arena)
    }

    /// - Parameter isExact: whether it stays f32 in an int8 checkpoint: small, or part of every token.
    package mutating func table(
        _ name: String, _ rows: Extent, _ columns: Extent, isExact: Bool = false
    ) throws(InputError) -> EmbeddingTable {
        EmbeddingTable(
            matrix: try matrix(name, rows: rows, columns: columns, isExact ? .exact : .matrix, of: .embedding))
    }

    /// A small table's numbers, row by row.
    mutating func values(_ name: String, _ rows: Extent, _ columns: Extent) throws(InputError) -> [Float] {
        try matrix(name, rows: rows, columns: columns, .exact, of: .embedding).floats()
    }

    /// - Parameter hasBias: zeros where there is none.
    mutating func layerNorm(
        _ name: String, _ count: Extent, epsilon: Float, hasBias: Bool = true
    ) throws(InputError) -> LayerNorm {
        let gamma = try vector("\(name).weight", count)
        let beta = hasBias ? try vector("\(name).bias", count) : try Vector(zeros: count.value, in: arena)
        return LayerNorm(gamma: gamma, beta: beta, epsilon: epsilon)
    }

    /// The layer `name`.
    package mutating func linear(
        _ name: String, from inputs: Extent, to outputs: Extent, hasBias: Bool = true
    ) throws(InputError) -> Linear {
        try linear([name], from: inputs, to: outputs, hasBias: hasBias)
    }

    /// Layers with the same inputs, `outputs` each, as one.
    package mutating func linear(
        _ names: [String], from inputs: Extent, to outputs: Extent, hasBias: Bool = true
    ) throws(InputError) -> Linear {
        try linear(names, from: inputs, to: outputs, format, .matrix, hasBias: hasBias)
    }

    /// Some of the outputs of a layer that a checkpoint has as one, `outputs` in all.
    mutating func linear(
        _ name: String, rows: Range<Int>, from inputs: Extent, to outputs: Extent, hasBias: Bool
    ) throws(InputError) -> Linear {
        let weight = try matrix("\(name).weight", rows: outputs, columns: inputs, .matrix, of: .linear).rows(rows)
        let bias =
            hasBias
            ? try Vector(try matrix("\(name).bias", rows: nil, columns: outputs, .exact, of: nil), rows, in: arena)
            : try Vector(zeros: rows.count, in: arena)
        return try Linear(
            [weight], bias: bias, format: format, moments: try recorder?.moments(of: [name], columns: inputs.value),
            on: instructionSet, in: arena)
    }

    /// The layer onto the labels: f32 also where the others are int8, for it is small and decides.
    package mutating func labelProjection(_ name: String, from inputs: Extent, to labels: Extent) throws(InputError)
        -> Linear
    {
        try linear([name], from: inputs, to: labels, format == .int8 ? .f32 : format, .exact, hasBias: true)
    }

    private mutating func linear(
        _ names: [String], from inputs: Extent, to outputs: Extent, _ format: Linear.Format, _ role: Parameter.Role,
        hasBias: Bool
    ) throws(InputError) -> Linear {
        var weights: [StoredMatrix] = []
        var biases: [StoredMatrix] = []
        for name in names {
            weights.append(try matrix("\(name).weight", rows: outputs, columns: inputs, role, of: .linear))
            if hasBias { biases.append(try matrix("\(name).bias", rows: nil, columns: outputs, .exact, of: nil)) }
        }
        let bias =
            hasBias ? try Vector(biases, in: arena) : try Vector(zeros: names.count * outputs.value, in: arena)
        return try Linear(
            weights, bias: bias, format: format, hasReference: config.hasInt8Reference,
            moments: role == .matrix ? try recorder?.moments(of: names, columns: inputs.value) : nil, on: instructionSet,
            in: arena)
    }

    /// Says of a norm whither its outputs' mean may move; once is enough.
    mutating func meanMayMove(from norm: String, into products: [String], addedTo: String) {
        guard keepsParameters, !movableMeans.contains(where: { $0.norm == norm }) else { return }
        movableMeans.append(MovableMean(norm: norm, products: products, addedTo: addedTo))
    }

    /// Every tensor must have been used, but those of no use; returns the ones that training left and that a classifier has no
    /// use for, by what their names begin with.
    package func verifyAllUsed() throws(InputError) -> [String] {
        var leftovers: Set<String> = []
        var unknown: [String] = []
        let model = config.architecture.model
        for name in unused {
            let canonical = names.canonical(name)
            if model.ignores(canonical) || canonical.hasSuffix(".position_ids") { continue }
            if let head = TensorNames.pretrainingHead(canonical) {
                leftovers.insert(head)
            } else {
                unknown.append(name)
            }
        }
        if let first = unknown.min() {
            throw InputError(
                checkpoint.name,
                "tensor \"\(first)\"\(unknown.count > 1 ? " (and \(unknown.count - 1) more)" : "") "
                    + "is not one of this architecture's. Check that config.json comes from the same checkpoint")
        }
        return leftovers.sorted()
    }

    /// - Parameter layer: the kind that it is the matrix of; nil for a vector.
    private mutating func matrix(
        _ name: String, rows: Extent?, columns: Extent, _ role: Parameter.Role, of layer: CompressedTensors.Layer?
    ) throws(InputError) -> StoredMatrix {
        let tensor = try take(name, [rows, columns].compactMap(\.self))
        if keepsParameters { parameters.append(Parameter(name: name, tensor: tensor, role: role)) }
        let rowCount = rows?.value ?? 1
        guard [.f32, .f16, .bf16, .f64, .i8].contains(tensor.type) else {
            throw InputError(
                checkpoint.name,
                "tensor \"\(name)\" has type \(tensor.type.rawValue); supported are F32, F16, BF16, F64 and I8")
        }
        let scales = try scales(of: name, isInt8: tensor.type == .i8, rows: rowCount, layer)
        return StoredMatrix(tensor, scales: scales, rows: rowCount, columns: columns.value)
    }

    /// Of an I8 tensor; nil for any other. That it is one must be what config.json says.
    private mutating func scales(
        of name: String, isInt8: Bool, rows: Int, _ layer: CompressedTensors.Layer?
    ) throws(InputError) -> StoredTensor? {
        func contradiction(_ problem: String) -> InputError {
            InputError(
                checkpoint.name, "tensor \"\(name)\" is \(problem). Check that both come from the same checkpoint")
        }
        switch config.weightFormat {
        case .float:
            guard !isInt8 else { throw contradiction("I8, but config.json has no quantization_config") }
            return nil
        case .apus: return isInt8 ? try takeScales(name, [[rows, 1]], [.f32]) : nil
        case .compressedTensors(let format):
            let modules = [name, names.stored(name)].map { String($0.dropLast($0.hasSuffix(".weight") ? 7 : 0)) }
            let expected = layer.flatMap { format.scales(of: modules, $0) }
            switch (isInt8, expected) {
            case (false, nil): return nil
            case (true, nil):
                throw contradiction("I8, but config.json, quantization_config has it stay as it was (targets, ignore)")
            case (false, _?):
                throw contradiction("not I8, but config.json, quantization_config says that it is (targets, ignore)")
            case (true, let expected?):
                let shapes = expected == .perRow ? [[rows, 1], [rows]] : [[1], [], [1, 1]]
                let scales = try takeScales(name, shapes, [.f32, .f16, .bf16])
                try verifySymmetric(name)
                return scales
            }
        }
    }

    /// One of the shapes and types, each a number above 0.
    private mutating func takeScales(
        _ name: String, _ shapes: [[Int]], _ types: [ElementType]
    ) throws(InputError) -> StoredTensor {
        let name = name + "_scale"
        let scales = try take(name, shapes[0]) { shape in
            shapes.contains(shape)
                ? nil : "the I8 tensor that it belongs to needs \(shapes.map { "\($0)" }.joined(separator: " or "))"
        }
        guard types.contains(scales.type) else {
            throw InputError(
                checkpoint.name,
                "tensor \"\(name)\" has type \(scales.type.rawValue), not \(types.map(\.rawValue).joined(separator: " or "))"
            )
        }
        for index in 0..<scales.bytes.count / scales.type.width {
            let scale = StoredMatrix.scale(scales, index)
            guard scale > 0, scale.isFinite else {
                throw InputError(
                    checkpoint.name,
                    "tensor \"\(name)\" holds \(scale) in place \(index); a scale is a finite number above 0. The file is "
                        + "damaged: fetch it again")
            }
        }
        return scales
    }

    /// Older libraries write the zero points of symmetric weights, too.
    private mutating func verifySymmetric(_ name: String) throws(InputError) {
        let stored = names.stored(name + "_zero_point")
        guard let points = checkpoint.tensors[stored] else { return }
        unused.remove(stored)
        // All bytes of a zero are zero, in any type.
        guard points.bytes.allSatisfy({ $0 == 0 }) else {
            throw InputError(
                checkpoint.name,
                "tensor \"\(stored)\" holds zero points that are not 0: weights that are not symmetric are not supported. "
                    + "Use the model's unquantized weights; apus quantize makes int8 of them")
        }
    }

    private mutating func take(_ name: String, _ extents: [Extent]) throws(InputError) -> StoredTensor {
        let needed = extents.map(\.value)
        return try take(name, needed) { shape in
            shape == needed
                ? nil : "config.json (\(extents.map(\.setting).joined(separator: ", "))) needs \(needed)"
        }
    }

    /// - Parameters:
    ///   - shape: of weights that no file has.
    ///   - problem: what is wrong with a shape.
    private mutating func take(
        _ name: String, _ shape: [Int], problem: ([Int]) -> String?
    ) throws(InputError) -> StoredTensor {
        let stored = names.stored(name)
        guard let tensor = try checkpoint.tensor(stored, shape: shape) else {
            let headless = config.headlessClass.map {
                " config.json says that it is a \($0), which has no classifier of texts: fine-tune it, or take a model that was."
            }
            throw InputError(
                checkpoint.name,
                "has no tensor \"\(name)\", which \(config.architecture.rawValue) needs."
                    + (headless ?? " Check that config.json comes from the same checkpoint"))
        }
        unused.remove(stored)
        if let problem = problem(tensor.shape) {
            throw InputError(
                checkpoint.name,
                "tensor \"\(name)\" has shape \(tensor.shape); \(problem). Check that both come from the same checkpoint")
        }
        return try tensor.rowMajor()
    }
}
