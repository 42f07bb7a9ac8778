/// A view of row-major f32 scratch, [rows, columns], dense. It does not own its memory: `Scratch` does.
package struct Matrix {
    package let rows: Int
    package let columns: Int
    let base: UnsafeMutablePointer<Float>

    init(rows: Int, columns: Int, base: UnsafeMutablePointer<Float>) {
        self.rows = rows
        self.columns = columns
        self.base = base
    }

    /// The first `count` rows.
    package func prefix(_ count: Int) -> Matrix {
        precondition(count <= rows)
        return Matrix(rows: count, columns: columns, base: base)
    }

    package func row(_ index: Int) -> UnsafeBufferPointer<Float> {
        precondition(index >= 0 && index < rows)
        return UnsafeBufferPointer(start: base + index * columns, count: columns)
    }

    var count: Int { rows * columns }
}

/// Named buffers for one forward pass, allocated once. Not to be shared between passes that run at the same time.
package struct Scratch: ~Copyable {
    private var storages: [FloatStorage] = []

    package init() {}

    package mutating func matrix(_ rows: Int, _ columns: Int) -> Matrix {
        let storage = FloatStorage(count: rows * columns)
        storages.append(storage)
        return Matrix(rows: rows, columns: columns, base: storage.base)
    }
}
