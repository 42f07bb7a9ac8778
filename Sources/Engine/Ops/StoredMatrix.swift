import Kernels

/// A tensor of a checkpoint as rows of numbers: [rows, columns] in F32, F16, BF16 or F64, or in I8 with scales.
package struct StoredMatrix {
    let tensor: StoredTensor
    /// One a row or one for all, in F32, F16 or BF16; for I8 only.
    let scales: StoredTensor?
    let rows: Int
    let columns: Int

    init(_ tensor: StoredTensor, scales: StoredTensor? = nil, rows: Int, columns: Int) {
        precondition(tensor.bytes.count == rows * columns * tensor.type.width)
        precondition((tensor.type == .i8) == (scales != nil))
        if let scales {
            precondition([.f32, .f16, .bf16].contains(scales.type))
            precondition([scales.type.width, rows * scales.type.width].contains(scales.bytes.count))
        }
        self.tensor = tensor
        self.scales = scales
        self.rows = rows
        self.columns = columns
    }

    /// Some of the rows.
    func rows(_ range: Range<Int>) -> StoredMatrix {
        func part(_ tensor: StoredTensor, _ rowBytes: Int) -> StoredTensor {
            let bytes = tensor.bytes[range.lowerBound * rowBytes..<range.upperBound * rowBytes]
            let shape = [range.count] + tensor.shape.dropFirst()
            return StoredTensor(
                type: tensor.type, shape: shape, bytes: UnsafeRawBufferPointer(rebasing: bytes), file: tensor.file)
        }
        let ownScales = scales.map { isScaledAsOne ? $0 : part($0, $0.type.width) }
        return StoredMatrix(
            part(tensor, columns * tensor.type.width), scales: ownScales, rows: range.count, columns: columns)
    }

    /// Row `row` in f32.
    func read(row: Int, into out: UnsafeMutablePointer<Float>) {
        precondition(row >= 0 && row < rows)
        let bytes = tensor.bytes
        let start = row * columns
        switch tensor.type {
        case .f32:
            UnsafeMutableRawPointer(out).copyMemory(
                from: bytes.baseAddress! + 4 * start, byteCount: 4 * columns)
        case .f16:
            for index in 0..<columns {
                out[index] = Self.halfToFloat(bytes.loadUnaligned(fromByteOffset: 2 * (start + index), as: UInt16.self))
            }
        case .bf16:
            for index in 0..<columns {
                let half = bytes.loadUnaligned(fromByteOffset: 2 * (start + index), as: UInt16.self)
                out[index] = Float(bitPattern: UInt32(half) << 16)
            }
        case .f64:
            for index in 0..<columns {
                out[index] = Float(bytes.loadUnaligned(fromByteOffset: 8 * (start + index), as: Double.self))
            }
        case .i8:
            let scale = scale(row: row)
            let source = int8Row(row)
            for index in 0..<columns { out[index] = Float(source[index]) * scale }
        default: preconditionFailure("the reader of weights checks the type")
        }
    }

    /// An I8 matrix' row as it is stored.
    func int8Row(_ row: Int) -> UnsafePointer<Int8> {
        precondition(tensor.type == .i8 && row >= 0 && row < rows)
        return tensor.bytes.baseAddress!.assumingMemoryBound(to: Int8.self) + row * columns
    }

    private var isScaledAsOne: Bool { scales.map { $0.bytes.count == $0.type.width } ?? false }

    func scale(row: Int) -> Float { Self.scale(scales!, isScaledAsOne ? 0 : row) }

    /// Number `index` of F32, F16 or BF16.
    static func scale(_ scales: StoredTensor, _ index: Int) -> Float {
        switch scales.type {
        case .f32: Float(bitPattern: scales.bytes.littleEndian(UInt32.self, at: 4 * index))
        case .bf16: Float(bitPattern: UInt32(scales.bytes.littleEndian(UInt16.self, at: 2 * index)) << 16)
        case .f16: halfToFloat(scales.bytes.littleEndian(UInt16.self, at: 2 * index))
        default: preconditionFailure("the reader of weights checks the type")
        }
    }

    /// All values in f32, row by row.
    func floats() -> [Float] {
        [Float](unsafeUninitializedCapacity: rows * columns) { buffer, count in
            for row in 0..<rows { read(row: row, into: buffer.baseAddress! + row * columns) }
            count = rows * columns
        }
    }

    /// W·x
    func times(_ x: [Float]) -> [Float] {
        precondition(x.count == columns)
        let values = floats()
        return (0..<rows).map { row in
            Float((0..<columns).reduce(0.0) { $0 + Double(values[row * columns + $1]) * Double(x[$1]) })
        }
    }

    /// All values in int8, row by row, with one scale a row: value ≈ scale · int8. nil where a value is not finite.
    func quantized() -> (values: [Int8], scales: [Float])? {
        var scales: [Float] = []
        let values = [Int8](unsafeUninitializedCapacity: rows * columns) { buffer, count in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { row in
                for index in 0..<rows {
                    read(row: index, into: row.baseAddress!)
                    scales.append(apus_quantize_weights(row.baseAddress, columns, buffer.baseAddress! + index * columns))
                }
            }
            count = rows * columns
        }
        return scales.allSatisfy(\.isFinite) ? (values, scales) : nil
    }

    /// Lets go of the file's pages; what is read again comes from the disk.
    func discard() { tensor.file.discard(tensor.bytes) }

    /// IEEE binary16. Swift's Float16 does not exist on x86-64 Linux before AVX-512 FP16 in every toolchain.
    package static func halfToFloat(_ half: UInt16) -> Float {
        let sign = UInt32(half & 0x8000) << 16
        let exponent = UInt32(half >> 10 & 0x1F)
        let mantissa = UInt32(half & 0x3FF)
        switch exponent {
        case 0: return Float(bitPattern: sign | (Float(mantissa) * 0x1p-24).bitPattern)
        case 0x1F: return Float(bitPattern: sign | 0x7F80_0000 | mantissa << 13)
        default: return Float(bitPattern: sign | (exponent + 112) << 23 | mantissa << 13)
        }
    }
}
