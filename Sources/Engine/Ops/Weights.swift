/// A matrix of parameters in f32, row-major [rows, columns], or a vector (one row). Immutable, shared freely.
///
/// Aligned f32 is used where it lies in the mapped file; everything else is converted once, at load.
package struct Weights: @unchecked Sendable {
    package let rows: Int
    package let columns: Int
    let base: UnsafePointer<Float>
    private let owner: AnyObject

    /// From F32, F16 or BF16 of `rows · columns` elements.
    init(_ tensor: StoredTensor, rows: Int, columns: Int) {
        precondition(tensor.bytes.count == rows * columns * tensor.type.width)
        self.rows = rows
        self.columns = columns
        let source = tensor.bytes.baseAddress!
        if tensor.type == .f32, Int(bitPattern: source).isMultiple(of: MemoryLayout<Float>.alignment) {
            base = source.assumingMemoryBound(to: Float.self)
            owner = tensor.file
            return
        }
        let storage = FloatStorage(count: rows * columns)
        switch tensor.type {
        case .f32: UnsafeMutableRawPointer(storage.base).copyMemory(from: source, byteCount: tensor.bytes.count)
        case .f16:
            for index in 0..<rows * columns {
                storage.base[index] = Self.halfToFloat(tensor.bytes.littleEndian(UInt16.self, at: 2 * index))
            }
        case .bf16:
            for index in 0..<rows * columns {
                storage.base[index] = Float(
                    bitPattern: UInt32(tensor.bytes.littleEndian(UInt16.self, at: 2 * index)) << 16)
            }
        default: preconditionFailure("the caller checks the type")
        }
        base = UnsafePointer(storage.base)
        owner = storage
    }

    /// From I8 [rows, columns] and F32 [rows, 1]: W = int8 · scale.
    init(_ tensor: StoredTensor, scale: StoredTensor, rows: Int, columns: Int) {
        precondition(tensor.bytes.count == rows * columns && scale.bytes.count == rows * MemoryLayout<Float>.size)
        self.rows = rows
        self.columns = columns
        let storage = FloatStorage(count: rows * columns)
        let source = tensor.bytes.baseAddress!.assumingMemoryBound(to: Int8.self)
        for row in 0..<rows {
            let rowScale = Float(bitPattern: scale.bytes.littleEndian(UInt32.self, at: 4 * row))
            for index in row * columns..<(row + 1) * columns { storage.base[index] = Float(source[index]) * rowScale }
        }
        base = UnsafePointer(storage.base)
        owner = storage
    }

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

/// Owned f32 memory, aligned to a cache line, zeroed.
final class FloatStorage: @unchecked Sendable {
    let base: UnsafeMutablePointer<Float>

    init(count: Int) {
        let raw = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * MemoryLayout<Float>.stride, alignment: 64)
        base = raw.bindMemory(to: Float.self, capacity: max(count, 1))
        base.initialize(repeating: 0, count: max(count, 1))
    }

    deinit {
        base.deallocate()
    }
}
