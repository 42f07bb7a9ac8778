/// Sums of a matrix' rows, in the memory of one caller. The first groups of rows that belong together (a word with its
/// subwords) are summed up once and remembered: a text with subwords has some twelve rows a word, spread over far more
/// memory than the caches hold.
package struct RowSums {
    package enum Source: Sendable {
        case dense(DenseRows)
        case quantized(ProductQuantizedRows)
    }

    /// What remembered sums may take.
    private static let maximumBytes = 16 << 20

    private let source: Source
    private let columns: Int
    private let arena = Arena()
    /// Groups 0 ..< `capacity` are remembered: [capacity, columns] and [capacity].
    private let capacity: Int
    private let sums: UnsafeMutablePointer<Float>
    private let groups: UnsafeMutablePointer<Group>
    private var addends: [UnsafeRawPointer] = []
    /// The rows of all groups met so far.
    private var members: [Int] = []

    private struct Group: BitwiseCopyable {
        /// Where its rows stand in `members`; none for a group not met yet.
        var first: Int
        var count: Int
    }

    /// `groups`: how many rows have others behind them that belong to them.
    package init(_ source: Source, groups count: Int) throws(InputError) {
        self.source = source
        switch source {
        case .dense(let matrix): columns = matrix.columns
        case .quantized(let matrix): columns = matrix.columns
        }
        capacity = min(count, Self.maximumBytes / (columns * MemoryLayout<Float>.size))
        sums = try arena.allocate(Float.self, capacity * columns)
        groups = try arena.allocate(Group.self, capacity)
    }

    /// out = Σ rows[ids[i]], out: [columns]. In order; but a remembered group is summed up first, and where its rows stand
    /// together in `ids`, its sum is added.
    ///
    /// - Parameter group: appends the rows of a group, from the one that it is named after.
    package mutating func sum(_ ids: [Int], into out: inout [Float], group: (Int, inout [Int]) -> Void) {
        precondition(out.count == columns)
        out.withUnsafeMutableBufferPointer { out in
            switch source {
            case .dense(let matrix): sum(ids, matrix, out, group)
            case .quantized(let matrix): sum(ids, matrix, out, group)
            }
        }
    }

    private mutating func sum(
        _ ids: [Int], _ matrix: DenseRows, _ out: UnsafeMutableBufferPointer<Float>, _ group: (Int, inout [Int]) -> Void
    ) {
        addends.removeAll(keepingCapacity: true)
        var index = 0
        while index < ids.count {
            let id = ids[index]
            if id < capacity, let count = remembered(id, at: index, of: ids, group) {
                addends.append(UnsafeRawPointer(sums + id * columns))
                index += count
            } else {
                addends.append(matrix.row(id))
                index += 1
            }
        }
        addends.withUnsafeBufferPointer { Self.sum($0, out) }
    }

    private mutating func sum(
        _ ids: [Int], _ matrix: ProductQuantizedRows, _ out: UnsafeMutableBufferPointer<Float>,
        _ group: (Int, inout [Int]) -> Void
    ) {
        out.update(repeating: 0)
        var index = 0
        while index < ids.count {
            let id = ids[index]
            if id < capacity, let count = remembered(id, at: index, of: ids, group) {
                let sum = sums + id * columns
                for column in 0..<columns { out[column] += sum[column] }
                index += count
            } else {
                matrix.add(row: id, to: out)
                index += 1
            }
        }
    }

    /// The length of the group `id`, whose sum is there; nil where `ids` does not go on with its rows.
    @inline(__always)
    private mutating func remembered(
        _ id: Int, at index: Int, of ids: [Int], _ group: (Int, inout [Int]) -> Void
    ) -> Int? {
        precondition(id >= 0)
        if groups[id].count == 0 { remember(id, group) }
        let (first, count) = (groups[id].first, groups[id].count)
        guard index + count <= ids.count else { return nil }
        for place in 1..<count where ids[index + place] != members[first + place] { return nil }
        return count
    }

    private mutating func remember(_ id: Int, _ group: (Int, inout [Int]) -> Void) {
        let first = members.count
        group(id, &members)
        precondition(members.count > first && members[first] == id)
        let sum = UnsafeMutableBufferPointer(start: sums + id * columns, count: columns)
        switch source {
        case .dense(let matrix):
            let addresses = members[first...].map(matrix.row)
            addresses.withUnsafeBufferPointer { Self.sum($0, sum) }
        case .quantized(let matrix):
            sum.update(repeating: 0)
            for row in members[first...] { matrix.add(row: row, to: sum) }
        }
        groups[id] = Group(first: first, count: members.count - first)
    }

    /// out = Σ rows, each `out.count` floats at any address. Sums stay in registers while all rows are walked: 32 lanes are
    /// half of those that SSE2 has.
    private static func sum(_ rows: UnsafeBufferPointer<UnsafeRawPointer>, _ out: UnsafeMutableBufferPointer<Float>) {
        let bytes = UnsafeMutableRawBufferPointer(out)
        var place = 0
        while place + 128 <= bytes.count {
            var (first, second) = (SIMD16<Float>.zero, SIMD16<Float>.zero)
            for row in rows {
                first += row.loadUnaligned(fromByteOffset: place, as: SIMD16<Float>.self)
                second += row.loadUnaligned(fromByteOffset: place + 64, as: SIMD16<Float>.self)
            }
            bytes.storeBytes(of: first, toByteOffset: place, as: SIMD16<Float>.self)
            bytes.storeBytes(of: second, toByteOffset: place + 64, as: SIMD16<Float>.self)
            place += 128
        }
        while place + 16 <= bytes.count {
            var sum = SIMD4<Float>.zero
            for row in rows { sum += row.loadUnaligned(fromByteOffset: place, as: SIMD4<Float>.self) }
            bytes.storeBytes(of: sum, toByteOffset: place, as: SIMD4<Float>.self)
            place += 16
        }
        while place < bytes.count {
            var sum: Float = 0
            for row in rows { sum += row.loadUnaligned(fromByteOffset: place, as: Float.self) }
            bytes.storeBytes(of: sum, toByteOffset: place, as: Float.self)
            place += 4
        }
    }
}
