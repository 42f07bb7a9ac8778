import Kernels

/// A row of parameters in f32, in an arena; whole panels of it may be read, zero past its end.
package struct Vector: @unchecked Sendable {
    package let count: Int
    let base: UnsafePointer<Float>

    /// Zeros.
    init(zeros count: Int, in arena: Arena) throws(InputError) {
        self.count = count
        let panel = Int(APUS_PANEL)
        base = UnsafePointer(try arena.allocate(Float.self, (count + panel - 1) / panel * panel))
    }

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

/// What a token's place adds to its word: [types · positions, hidden] in f32, row type · positions + position.
package struct PositionTable: @unchecked Sendable {
    let matrix: Matrix

    /// A text and its pair have two types, whatever else a checkpoint may bring.
    private static let maximumTypes = 2

    /// - Parameter types: nil where there are none.
    package init(_ positions: EmbeddingTable, types: EmbeddingTable?, in arena: Arena) throws(InputError) {
        precondition(types.map { $0.columns == positions.columns } ?? true)
        let typeCount = types.map { min($0.rows, Self.maximumTypes) } ?? 1
        matrix = try Matrix(arena, typeCount * positions.rows, positions.columns)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: matrix.columns) { addend in
            for type in 0..<typeCount {
                types?.matrix.read(row: type, into: addend.baseAddress!)
                for row in 0..<positions.rows {
                    let sum = matrix.base + (type * positions.rows + row) * matrix.stride
                    positions.matrix.read(row: row, into: sum)
                    guard types != nil else { continue }
                    for column in 0..<matrix.columns { sum[column] += addend[column] }
                }
            }
        }
        positions.matrix.discard()
    }
}

/// What is added to attention scores by how far the key is from the query, in rows of a head each; one row for all heads where
/// there is only one. In an arena.
package struct DistanceBias: @unchecked Sendable {
    /// [rows, 2 · tokens − 1], distance 0 in the middle.
    private let matrix: Matrix
    private let tokens: Int

    /// - Parameters:
    ///   - tokens: the most of one text.
    ///   - value: of a row and a distance key − query; −∞ hides the key. That of distance 0 is finite.
    package init(
        rows: Int, tokens: Int, in arena: Arena, _ value: (_ row: Int, _ distance: Int) -> Float
    ) throws(InputError) {
        matrix = try Matrix(arena, rows, 2 * tokens - 1)
        self.tokens = tokens
        for row in 0..<rows {
            for distance in 1 - tokens..<tokens {
                matrix.base[row * matrix.stride + tokens - 1 + distance] = value(row, distance)
            }
        }
    }

    /// For a sequence's queries, from the first one on.
    func head(_ index: Int, tokens count: Int) -> apus_score_bias {
        precondition(count <= tokens)
        return apus_score_bias(values: matrix.row(matrix.rows == 1 ? 0 : index).baseAddress! + tokens - 1, stride: -1)
    }
}
