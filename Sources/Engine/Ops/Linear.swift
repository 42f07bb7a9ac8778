import Kernels

/// y = x·Wᵀ + b, its weights packed for the products. A view: an arena owns the memory.
package struct Linear: @unchecked Sendable {
    package enum Format: Sendable {
        /// Panels of 64 outputs of int8, in the order of the instruction set's products.
        case int8
        /// Panels [outputs/64][inputs][64] of f32.
        case f32
        /// [outputs, inputs] of f32, as BLAS has it.
        case rows
    }

    package let inputs: Int
    package let outputs: Int
    let format: Format
    let bias: Vector
    /// An int8 product's steps: the inputs, rounded up to what the products take at once.
    let steps: Int
    private let weights: UnsafeRawPointer
    /// [outputs], rounded up to whole panels; for int8 only.
    private let sums: UnsafeMutablePointer<Int32>
    private let scales: UnsafeMutablePointer<Float>
    /// What an int8 product's first tokens are taken relative to; nil where they are not.
    let reference: Reference?
    /// Where the inputs' second moments are recorded; nil where nobody asked for them.
    let moments: SecondMoments?

    /// A row of inputs that others are near, and its product with the bias. Zeros and the bias until there is one.
    struct Reference {
        /// [inputs]
        let input: UnsafeMutablePointer<Float>
        /// [outputs], rounded up to whole panels
        let output: UnsafeMutablePointer<Float>
    }

    static let panel = Int(APUS_PANEL)

    /// Several matrices with the same inputs, their outputs one behind the other: one product instead of several.
    ///
    /// - Parameters:
    ///   - hasReference: whether there is memory for one, in int8.
    ///   - moments: what records the inputs.
    init(
        _ parts: [StoredMatrix], bias: Vector, format: Format, hasReference: Bool = false, moments: SecondMoments? = nil,
        on instructionSet: InstructionSet, in arena: Arena
    ) throws(InputError) {
        let inputs = parts[0].columns
        precondition(parts.allSatisfy { $0.columns == inputs })
        outputs = parts.reduce(0) { $0 + $1.rows }
        precondition(bias.count == outputs)
        self.inputs = inputs
        self.bias = bias
        self.format = format
        self.moments = moments
        let step = instructionSet.kernels.pointee.inner_step
        steps = (inputs + step - 1) / step * step
        let padded = (outputs + Self.panel - 1) / Self.panel * Self.panel
        let rows = RowReader(parts)
        if hasReference && format == .int8 {
            let input = try arena.allocate(Float.self, inputs)
            let output = try arena.allocate(Float.self, padded)
            input.update(repeating: 0, count: inputs)
            output.update(from: bias.base, count: padded)
            reference = Reference(input: input, output: output)
        } else {
            reference = nil
        }
        switch format {
        case .int8:
            sums = try arena.allocate(Int32.self, padded)
            scales = try arena.allocate(Float.self, padded)
            let packed = try arena.allocate(Int8.self, padded * steps)
            rows.pack(into: packed, steps: steps, sums: sums, scales: scales, instructionSet.kernels.pointee.pack_s8)
            weights = UnsafeRawPointer(packed)
        case .f32:
            (sums, scales) = (try arena.allocate(Int32.self, 0), try arena.allocate(Float.self, 0))
            let packed = try arena.allocate(Float.self, padded * inputs)
            rows.pack(into: packed)
            weights = UnsafeRawPointer(packed)
        case .rows:
            (sums, scales) = (try arena.allocate(Int32.self, 0), try arena.allocate(Float.self, 0))
            let copied = try arena.allocate(Float.self, outputs * inputs)
            for row in 0..<outputs { rows.read(row, into: copied + row * inputs) }
            weights = UnsafeRawPointer(copied)
        }
        for part in parts { part.discard() }
    }

    var panels: Int { Self.panels(outputs) }

    /// How many panels `outputs` take.
    static func panels(_ outputs: Int) -> Int { (outputs + panel - 1) / panel }

    func int8Panel(_ index: Int) -> apus_panel_s8 {
        apus_panel_s8(
            values: weights.assumingMemoryBound(to: Int8.self) + index * Self.panel * steps,
            sums: sums + index * Self.panel, scales: scales + index * Self.panel)
    }

    func f32Panel(_ index: Int) -> UnsafePointer<Float> { rowMajor + index * Self.panel * inputs }

    var rowMajor: UnsafePointer<Float> { weights.assumingMemoryBound(to: Float.self) }
}

/// The rows of several matrices under one numbering.
private struct RowReader {
    private let parts: [StoredMatrix]
    private let inputs: Int
    private let outputs: Int

    init(_ parts: [StoredMatrix]) {
        self.parts = parts
        inputs = parts[0].columns
        outputs = parts.reduce(0) { $0 + $1.rows }
    }

    func read(_ row: Int, into out: UnsafeMutablePointer<Float>) {
        let (part, row) = locate(row)
        part.read(row: row, into: out)
    }

    private func locate(_ row: Int) -> (part: StoredMatrix, row: Int) {
        var row = row
        for part in parts {
            if row < part.rows { return (part, row) }
            row -= part.rows
        }
        preconditionFailure("row \(row) of \(outputs)")
    }

    func pack(into packed: UnsafeMutablePointer<Float>) {
        let panel = Linear.panel
        withUnsafeTemporaryAllocation(of: Float.self, capacity: panel * inputs) { stage in
            for first in stride(from: 0, to: outputs, by: panel) {
                let count = min(panel, outputs - first)
                for row in 0..<count { read(first + row, into: stage.baseAddress! + row * inputs) }
                apus_pack_f32(stage.baseAddress, inputs, count, inputs, packed + first * inputs)
            }
        }
    }

    /// int8 as stored, anything else quantized here, a row at a time.
    func pack(
        into packed: UnsafeMutablePointer<Int8>, steps: Int, sums: UnsafeMutablePointer<Int32>,
        scales: UnsafeMutablePointer<Float>,
        _ packPanel:
            @convention(c) (
                UnsafePointer<Int8>?, Int, Int, Int, UnsafeMutablePointer<Int8>?, UnsafeMutablePointer<Int32>?
            ) -> Void
    ) {
        let panel = Linear.panel
        withUnsafeTemporaryAllocation(of: Int8.self, capacity: panel * inputs) { stage in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: inputs) { values in
                for first in stride(from: 0, to: outputs, by: panel) {
                    let count = min(panel, outputs - first)
                    for row in 0..<count {
                        let place = stage.baseAddress! + row * inputs
                        let (part, partRow) = locate(first + row)
                        if part.tensor.type == .i8 {
                            place.update(from: part.int8Row(partRow), count: inputs)
                            scales[first + row] = part.scale(row: partRow)
                        } else {
                            part.read(row: partRow, into: values.baseAddress!)
                            scales[first + row] = apus_quantize_weights(values.baseAddress, inputs, place)
                        }
                    }
                    packPanel(stage.baseAddress, inputs, count, inputs, packed + first * steps, sums + first)
                }
            }
        }
    }
}
