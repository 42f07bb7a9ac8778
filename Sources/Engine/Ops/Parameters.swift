import Kernels

/// A row of parameters in f32, in an arena; whole panels of it may be read, zero past its end.
package struct Vector: @unchecked Sendable {
    package let count: Int
    let base: UnsafePointer<Float>

    /// Zeros.
    init(zeros count: Int, in arena: Arena) throws(InputError) { try self.init(count, in: arena) { _ in } }

    /// Some of a single row's numbers.
    init(_ row: StoredMatrix, _ range: Range<Int>, in arena: Arena) throws(InputError) {
        precondition(row.rows == 1)
        try self.init(range.count, in: arena) { values in
            for (index, number) in row.floats()[range].enumerated() { values[index] = number }
        }
    }

    /// `parts` one behind the other, each a single row.
    init(_ parts: [StoredMatrix], in arena: Arena) throws(InputError) {
        precondition(parts.allSatisfy { $0.rows == 1 })
        try self.init(parts.reduce(0) { $0 + $1.columns }, in: arena) { values in
            var place = values
            for part in parts {
                part.read(row: 0, into: place)
                place += part.columns
            }
        }
    }

    private init(_ count: Int, in arena: Arena, _ fill: (UnsafeMutablePointer<Float>) -> Void) throws(InputError) {
        self.count = count
        let values = try arena.allocate(Float.self, Linear.panels(count) * Linear.panel)
        fill(values)
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

    /// - Parameters:
    ///   - positions: nil where a token's position adds nothing.
    ///   - types: nil where there are none.
    package init(
        _ positions: EmbeddingTable?, types: EmbeddingTable?, count: Int, columns: Int, in arena: Arena
    ) throws(InputError) {
        precondition([positions, types].allSatisfy { $0.map { $0.columns == columns } ?? true })
        precondition(positions.map { $0.rows == count } ?? true)
        let typeCount = types.map { min($0.rows, Self.maximumTypes) } ?? 1
        matrix = try Matrix(arena, typeCount * count, columns)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { addend in
            for type in 0..<typeCount {
                types?.matrix.read(row: type, into: addend.baseAddress!)
                for row in 0..<count {
                    let sum = matrix.base + (type * count + row) * matrix.stride
                    positions?.matrix.read(row: row, into: sum)
                    guard types != nil else { continue }
                    for column in 0..<columns { sum[column] += addend[column] }
                }
            }
        }
        positions?.matrix.discard()
    }
}

/// What is added to attention scores by how far the key is from the query, in rows of a head each; one row for all heads where
/// there is only one. In an arena.
package struct DistanceBias: @unchecked Sendable {
    /// Keys that are further from their query are hidden; nil where none are.
    let window: Int?
    /// [rows, 2 · tokens − 1], distance 0 in the middle.
    private let matrix: Matrix
    private let tokens: Int

    /// - Parameters:
    ///   - tokens: the most of one text.
    ///   - value: finite, of a row and a distance key − query.
    package init(
        rows: Int, tokens: Int, in arena: Arena, _ value: (_ row: Int, _ distance: Int) -> Float
    ) throws(InputError) {
        try self.init(rows: rows, tokens: tokens, window: nil, in: arena, value)
    }

    /// Nothing within the window, −∞ outside.
    package init(window: Int, tokens: Int, in arena: Arena) throws(InputError) {
        try self.init(rows: 1, tokens: tokens, window: window, in: arena) { _, distance in
            abs(distance) <= window ? 0 : -.infinity
        }
    }

    private init(
        rows: Int, tokens: Int, window: Int?, in arena: Arena, _ value: (_ row: Int, _ distance: Int) -> Float
    ) throws(InputError) {
        matrix = try Matrix(arena, rows, 2 * tokens - 1)
        self.tokens = tokens
        self.window = window
        for row in 0..<rows {
            for distance in 1 - tokens..<tokens {
                matrix.base[row * matrix.stride + tokens - 1 + distance] = value(row, distance)
            }
        }
    }

    /// For the queries from `query` on and the keys from `key` on, of a sequence of `count` tokens.
    func values(head: Int, query: Int, key: Int, tokens count: Int) -> apus_score_bias {
        precondition(count <= tokens && 0..<count ~= query && 0..<count ~= key)
        let row = matrix.row(matrix.rows == 1 ? 0 : head).baseAddress!
        return apus_score_bias(values: row + tokens - 1 + key - query, stride: -1)
    }
}
