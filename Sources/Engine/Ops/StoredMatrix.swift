import Kernels

/// A tensor of a checkpoint as rows of numbers: [rows, columns] in F32, F16 or BF16, or in I8 with one F32 scale a row.
package struct StoredMatrix {
    let tensor: StoredTensor
    /// [rows, 1], F32; for I8 only.
    let scales: StoredTensor?
    let rows: Int
    let columns: Int

    init(_ tensor: StoredTensor, scales: StoredTensor? = nil, rows: Int, columns: Int) {
        precondition(tensor.bytes.count == rows * columns * tensor.type.width)
        precondition((tensor.type == .i8) == (scales != nil))
        precondition(scales.map { $0.bytes.count == rows * MemoryLayout<Float>.size } ?? true)
        self.tensor = tensor
        self.scales = scales
        self.rows = rows
        self.columns = columns
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

    func scale(row: Int) -> Float {
        Float(bitPattern: scales!.bytes.littleEndian(UInt32.self, at: 4 * row))
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

/// A row of parameters in f32, in an arena; whole panels of it may be read, zero past its end.
package struct Vector: @unchecked Sendable {
    package let count: Int
    let base: UnsafePointer<Float>

    /// `parts` one behind the other, each a single row.
    init(_ parts: [StoredMatrix], in arena: Arena) {
        precondition(parts.allSatisfy { $0.rows == 1 })
        count = parts.reduce(0) { $0 + $1.columns }
        let panel = Int(APUS_PANEL)
        let values = arena.allocate(Float.self, (count + panel - 1) / panel * panel)
        var place = values
        for part in parts {
            part.read(row: 0, into: place)
            place += part.columns
        }
        base = UnsafePointer(values)
    }
}

/// Rows that a forward pass picks by number, left in the checkpoint as they are; only those picked are ever in memory.
package struct EmbeddingTable: @unchecked Sendable {
    let matrix: StoredMatrix

    package var rows: Int { matrix.rows }
    package var columns: Int { matrix.columns }
}

/// [positions, hidden] in f32, with the first token type's row added to each: the only type that a classifier is given.
package struct PositionTable: @unchecked Sendable {
    let matrix: Matrix

    package init(_ positions: EmbeddingTable, types: EmbeddingTable, in arena: Arena) {
        precondition(positions.columns == types.columns)
        matrix = Matrix(arena, positions.rows, positions.columns)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: matrix.columns) { type in
            types.matrix.read(row: 0, into: type.baseAddress!)
            for row in 0..<matrix.rows {
                let sum = matrix.base + row * matrix.stride
                positions.matrix.read(row: row, into: sum)
                for column in 0..<matrix.columns { sum[column] += type[column] }
            }
        }
        positions.matrix.discard()
    }
}
