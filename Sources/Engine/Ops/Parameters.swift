import Kernels

/// A row of parameters in f32, in an arena; whole panels of it may be read, zero past its end.
package struct Vector: @unchecked Sendable {
    package let count: Int
    let base: UnsafePointer<Float>

    /// `parts` one behind the other, each a single row.
    init(_ parts: [StoredMatrix], in arena: Arena) throws(InputError) {
        precondition(parts.allSatisfy { $0.rows == 1 })
        count = parts.reduce(0) { $0 + $1.columns }
        let panel = Int(APUS_PANEL)
        let values = try arena.allocate(Float.self, (count + panel - 1) / panel * panel)
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

    package init(_ positions: EmbeddingTable, types: EmbeddingTable, in arena: Arena) throws(InputError) {
        precondition(positions.columns == types.columns)
        matrix = try Matrix(arena, positions.rows, positions.columns)
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
