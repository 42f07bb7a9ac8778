/// A matrix of a fastText file: `densematrix.cc`, `quantmatrix.cc`.
struct FastTextMatrix: Sendable {
    let source: RowSums.Source

    init(_ reader: inout FastTextReader, _ name: String, isQuantized: Bool, columns: Int) throws(InputError) {
        let hasNorms = isQuantized ? try reader.flag("qnorm of the \(name)") : false
        let rows = try reader.integer(Int64.self, "the \(name)'s rows")
        let stored = try reader.integer(Int64.self, "the \(name)'s columns")
        guard rows >= 0, stored == columns else {
            throw reader.damaged("its \(name) is [\(rows), \(stored)]; it must have as many columns as dim, \(columns)")
        }
        guard isQuantized else {
            guard let size = Checkpoint.byteCount(shape: [columns], width: 4) else {
                throw reader.damaged("its \(name) has \(columns) columns")
            }
            source = .dense(DenseRows(try reader.block(rows, of: size, "the \(name)"), rows: rows, columns: columns))
            return
        }
        let codeCount = try reader.integer(Int32.self, "the number of the \(name)'s codes")
        let codes = try reader.block(max(0, codeCount), of: 1, "the \(name)'s codes")
        let (width, parts) = try Self.quantizer(&reader, "the \(name)'s quantizer", columns: columns)
        let perRow = ProductQuantizedRows.parts(columns: columns, width: width)
        guard codeCount == Checkpoint.byteCount(shape: [rows], width: perRow) else {
            throw reader.damaged(
                "its \(name) of \(rows) rows has \(codeCount) codes; \(perRow) a row are needed for parts of \(width) "
                    + "columns")
        }
        var norms: (codes: UnsafeRawBufferPointer, values: UnsafeRawBufferPointer)?
        if hasNorms {
            let codes = try reader.block(rows, of: 1, "the \(name)'s norms")
            norms = (codes, try Self.quantizer(&reader, "the quantizer of the \(name)'s norms", columns: 1).values)
        }
        source = .quantized(
            ProductQuantizedRows(codes: codes, parts: parts, norms: norms, rows: rows, columns: columns, width: width))
    }

    /// `productquantizer.cc`: four numbers that follow from two of them, and the parts.
    private static func quantizer(
        _ reader: inout FastTextReader, _ name: String, columns: Int
    ) throws(InputError) -> (width: Int, values: UnsafeRawBufferPointer) {
        let stored = try reader.integer(Int32.self, name)
        let count = try reader.integer(Int32.self, name)
        let width = try reader.integer(Int32.self, name)
        let lastWidth = try reader.integer(Int32.self, name)
        guard stored == columns, width >= 1, count == ProductQuantizedRows.parts(columns: columns, width: width),
            lastWidth == columns - (count - 1) * width
        else {
            throw reader.damaged(
                "\(name) has \(count) parts of \(width) columns and a last one of \(lastWidth), together \(stored); "
                    + "\(columns) are needed")
        }
        return (width, try reader.block(columns, of: ProductQuantizedRows.centroids * 4, "the parts of \(name)"))
    }

    var rows: Int {
        switch source {
        case .dense(let matrix): matrix.rows
        case .quantized(let matrix): matrix.rows
        }
    }

    var columns: Int {
        switch source {
        case .dense(let matrix): matrix.columns
        case .quantized(let matrix): matrix.columns
        }
    }

    /// How many columns one code stands for; 1 where there are no codes.
    var partWidth: Int {
        switch source {
        case .dense: 1
        case .quantized(let matrix): matrix.width
        }
    }

    /// What each row is to be multiplied with; nil for none.
    var norms: [Float]? {
        guard case .quantized(let matrix) = source, matrix.hasNorms else { return nil }
        return (0..<matrix.rows).map(matrix.norm)
    }

    /// Row `row`, before its norm.
    func read(_ row: Int, into out: UnsafeMutableBufferPointer<Float>) {
        switch source {
        case .dense(let matrix): matrix.read(row: row, into: out)
        case .quantized(let matrix): matrix.read(row: row, into: out)
        }
    }
}
