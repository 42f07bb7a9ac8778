import Kernels

/// A view of row-major f32 values, [rows, columns], rows `stride` apart. It does not own its memory: an `Arena` does.
package struct Matrix {
    package let rows: Int
    package let columns: Int
    let stride: Int
    let base: UnsafeMutablePointer<Float>

    private init(rows: Int, columns: Int, stride: Int, base: UnsafeMutablePointer<Float>) {
        self.rows = rows
        self.columns = columns
        self.stride = stride
        self.base = base
    }

    init(_ arena: Arena, _ rows: Int, _ columns: Int) throws(InputError) {
        self.init(rows: rows, columns: columns, stride: columns, base: try arena.allocate(Float.self, rows * columns))
    }

    /// The first `count` rows.
    package func prefix(_ count: Int) -> Matrix {
        precondition(count <= rows)
        return Matrix(rows: count, columns: columns, stride: stride, base: base)
    }

    package func columns(_ range: Range<Int>) -> Matrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= columns)
        return Matrix(rows: rows, columns: range.count, stride: stride, base: base + range.lowerBound)
    }

    package func row(_ index: Int) -> UnsafeBufferPointer<Float> {
        precondition(index >= 0 && index < rows)
        return UnsafeBufferPointer(start: base + index * stride, count: columns)
    }

    /// Writes row `index`, as wide as `values`.
    func setRow(_ index: Int, to values: UnsafeBufferPointer<Float>) {
        precondition(index >= 0 && index < rows && values.count == columns)
        (base + index * stride).update(from: values.baseAddress!, count: columns)
    }

    var isDense: Bool { stride == columns }
}

/// Rows in u8, each with its own scale and zero point: x ≈ scale · (value − zero), or of some rows what they differ by from a
/// `Reference`.
struct QuantizedRows {
    let columns: Int
    let kernelRows: apus_rows_u8

    init(_ arena: Arena, _ rows: Int, _ columns: Int) throws(InputError) {
        let stride = (columns + 63) / 64 * 64
        self.columns = columns
        kernelRows = apus_rows_u8(
            values: try arena.allocate(UInt8.self, rows * stride), stride: stride,
            scale: try arena.allocate(Float.self, rows), zero: try arena.allocate(Int32.self, rows),
            relative: try arena.allocate(UInt8.self, rows))
    }

    func kernelRows(from row: Int) -> apus_rows_u8 {
        apus_rows_u8(
            values: kernelRows.values + row * kernelRows.stride, stride: kernelRows.stride,
            scale: kernelRows.scale + row, zero: kernelRows.zero + row, relative: kernelRows.relative + row)
    }
}

/// What goes into a matrix product: f32 values, [rows, columns], and where products are int8, beside them the same rows
/// quantized. Only `Ops` writes them, and each of its operations both.
package struct Activations {
    /// To be read.
    package let values: Matrix
    let quantized: QuantizedRows?

    package init(_ arena: Arena, _ rows: Int, _ columns: Int, _ precision: Precision) throws(InputError) {
        values = try Matrix(arena, rows, columns)
        quantized = precision == .int8 ? try QuantizedRows(arena, rows, columns) : nil
    }

    private init(values: Matrix, quantized: QuantizedRows?) {
        self.values = values
        self.quantized = quantized
    }

    package var rows: Int { values.rows }

    /// The first `count` rows.
    package func prefix(_ count: Int) -> Activations {
        Activations(values: values.prefix(count), quantized: quantized)
    }
}
