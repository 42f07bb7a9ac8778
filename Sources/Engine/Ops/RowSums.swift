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

    /// out = Σ rows[ids[i]], added in this order. out: [columns].
    package func sum(_ ids: [Int], into out: inout [Float]) {
        precondition(out.count == columns)
        out.withUnsafeMutableBytes { out in
            ids.withUnsafeBufferPointer { ids in
                for id in ids { precondition(id >= 0 && id < rows) }
                // Sums stay in registers while all rows are walked: 32 lanes are half of those that SSE2 has.
                var column = 0
                while column + 32 <= columns {
                    var (first, second) = (SIMD16<Float>.zero, SIMD16<Float>.zero)
                    for id in ids {
                        first += load(id, column, as: SIMD16<Float>.self)
                        second += load(id, column + 16, as: SIMD16<Float>.self)
                    }
                    store(first, column, out)
                    store(second, column + 16, out)
                    column += 32
                }
                while column + 4 <= columns {
                    var sum = SIMD4<Float>.zero
                    for id in ids { sum += load(id, column, as: SIMD4<Float>.self) }
                    store(sum, column, out)
                    column += 4
                }
                while column < columns {
                    var sum: Float = 0
                    for id in ids { sum += load(id, column, as: Float.self) }
                    store(sum, column, out)
                    column += 1
                }
            }
        }
    }

    @inline(__always)
    private func store<Value: BitwiseCopyable>(_ sum: Value, _ column: Int, _ out: UnsafeMutableRawBufferPointer) {
        out.storeBytes(of: sum, toByteOffset: column * MemoryLayout<Float>.size, as: Value.self)
    }

    @inline(__always)
    private func load<Value: BitwiseCopyable>(_ row: Int, _ column: Int, as type: Value.Type) -> Value {
        bytes.loadUnaligned(fromByteOffset: (row * columns + column) * MemoryLayout<Float>.size, as: Value.self)
    }

    func read(row: Int, into out: UnsafeMutableBufferPointer<Float>) {
        precondition(row >= 0 && row < rows && out.count == columns)
        for column in 0..<columns { out[column] = load(row, column, as: Float.self) }
    }
}

/// Product-quantized rows [rows, columns] (Jégou et al. 2011) as they lie in a file: a row is cut into parts of `width`
/// columns, the last one perhaps shorter, and each part is one of 256 that all rows share.
package struct ProductQuantizedRows: @unchecked Sendable {
    /// How many different parts a place has.
    package static let centroids = 256

    package let rows: Int
    package let columns: Int
    private let width: Int
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
        precondition(norms.map { $0.codes.count == rows && $0.values.count == Self.centroids * MemoryLayout<Float>.size } ?? true)
        self.rows = rows
        self.columns = columns
        self.width = width
        self.codes = codes
        self.parts = parts
        self.norms = norms
    }

    /// out = Σ rows[ids[i]], added in this order. out: [columns].
    package func sum(_ ids: [Int], into out: inout [Float]) {
        precondition(out.count == columns)
        out.withUnsafeMutableBufferPointer { out in
            out.update(repeating: 0)
            for id in ids {
                precondition(id >= 0 && id < rows)
                add(row: id, norm: norm(id), to: out)
            }
        }
    }

    @inline(__always)
    private func add(row: Int, norm: Float, to out: UnsafeMutableBufferPointer<Float>) {
        let count = Self.parts(columns: columns, width: width)
        for part in 0..<count {
            let column = part * width
            let partWidth = min(width, columns - column)
            let code = Int(codes[row * count + part])
            let start = Self.centroids * column + code * partWidth
            for index in 0..<partWidth { out[column + index] += norm * load(start + index) }
        }
    }

    @inline(__always)
    private func load(_ index: Int) -> Float {
        parts.loadUnaligned(fromByteOffset: index * MemoryLayout<Float>.size, as: Float.self)
    }

    @inline(__always)
    func norm(_ row: Int) -> Float {
        guard let norms else { return 1 }
        return norms.values.loadUnaligned(fromByteOffset: Int(norms.codes[row]) * MemoryLayout<Float>.size, as: Float.self)
    }

    var hasNorms: Bool { norms != nil }

    /// Row `row` before its norm.
    func read(row: Int, into out: UnsafeMutableBufferPointer<Float>) {
        precondition(row >= 0 && row < rows && out.count == columns)
        out.update(repeating: 0)
        add(row: row, norm: 1, to: out)
    }
}
