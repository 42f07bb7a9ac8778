/// f32 rows [rows, columns] as they lie in a file, at any address.
package struct DenseRows: @unchecked Sendable {
    package let rows: Int
    package let columns: Int
    private let bytes: UnsafeRawBufferPointer

    /// `bytes`: rows · columns floats, little-endian; whoever keeps this keeps them mapped.
    package init(_ bytes: UnsafeRawBufferPointer, rows: Int, columns: Int) {
        precondition(bytes.count == rows * columns * MemoryLayout<Float>.size)
        self.rows = rows
        self.columns = columns
        self.bytes = bytes
    }

    func row(_ index: Int) -> UnsafeRawPointer {
        precondition(index >= 0 && index < rows)
        return bytes.baseAddress! + index * columns * MemoryLayout<Float>.size
    }

    func read(row index: Int, into out: UnsafeMutableBufferPointer<Float>) {
        precondition(out.count == columns)
        UnsafeMutableRawBufferPointer(out).copyMemory(
            from: UnsafeRawBufferPointer(start: row(index), count: columns * MemoryLayout<Float>.size))
    }
}

/// Product-quantized rows [rows, columns] (Jégou et al. 2011) as they lie in a file: a row is cut into parts of `width`
/// columns, the last one perhaps shorter, and each part is one of 256 that all rows share.
package struct ProductQuantizedRows: @unchecked Sendable {
    /// How many different parts a place has.
    package static let centroids = 256

    package let rows: Int
    package let columns: Int
    let width: Int
    /// [rows, parts]
    private let codes: UnsafeRawBufferPointer
    /// [parts, 256, width] floats
    private let parts: UnsafeRawBufferPointer
    /// What each row is to be multiplied with: [rows], and the 256 floats that they stand for.
    private let norms: (codes: UnsafeRawBufferPointer, values: UnsafeRawBufferPointer)?

    package static func parts(columns: Int, width: Int) -> Int { (columns + width - 1) / width }

    package init(
        codes: UnsafeRawBufferPointer, parts: UnsafeRawBufferPointer,
        norms: (codes: UnsafeRawBufferPointer, values: UnsafeRawBufferPointer)?, rows: Int, columns: Int, width: Int
    ) {
        precondition(width >= 1 && codes.count == rows * Self.parts(columns: columns, width: width))
        precondition(parts.count == Self.centroids * columns * MemoryLayout<Float>.size)
        precondition(norms.map { $0.codes.count == rows } ?? true)
        precondition(norms.map { $0.values.count == Self.centroids * MemoryLayout<Float>.size } ?? true)
        self.rows = rows
        self.columns = columns
        self.width = width
        self.codes = codes
        self.parts = parts
        self.norms = norms
    }

    package var hasNorms: Bool { norms != nil }

    func norm(_ row: Int) -> Float {
        guard let norms else { return 1 }
        return Self.load(norms.values, Int(norms.codes[row]), as: Float.self)
    }

    /// Row `row` before its norm.
    func read(row: Int, into out: UnsafeMutableBufferPointer<Float>) {
        out.update(repeating: 0)
        add(row: row, norm: 1, to: out)
    }

    func add(row: Int, to out: UnsafeMutableBufferPointer<Float>) { add(row: row, norm: norm(row), to: out) }

    /// out += norm · row
    private func add(row: Int, norm: Float, to out: UnsafeMutableBufferPointer<Float>) {
        precondition(row >= 0 && row < rows && out.count == columns)
        let count = Self.parts(columns: columns, width: width)
        let codes = UnsafeRawBufferPointer(rebasing: codes[row * count..<(row + 1) * count])
        if width == 2 {
            let sums = UnsafeMutableRawBufferPointer(out)
            for part in 0..<columns / 2 {
                let value = Self.load(parts, Self.centroids * part + Int(codes[part]), as: SIMD2<Float>.self)
                let sum = sums.loadUnaligned(fromByteOffset: 8 * part, as: SIMD2<Float>.self)
                sums.storeBytes(of: sum + value * norm, toByteOffset: 8 * part, as: SIMD2<Float>.self)
            }
            guard columns % 2 == 1 else { return }
        }
        for part in (width == 2 ? count - 1 : 0)..<count {
            let column = part * width
            let partWidth = min(width, columns - column)
            let start = Self.centroids * column + Int(codes[part]) * partWidth
            for index in 0..<partWidth { out[column + index] += norm * Self.load(parts, start + index, as: Float.self) }
        }
    }

    @inline(__always)
    private static func load<Value: BitwiseCopyable>(
        _ bytes: UnsafeRawBufferPointer, _ index: Int, as type: Value.Type
    ) -> Value {
        bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<Value>.size, as: Value.self)
    }
}
