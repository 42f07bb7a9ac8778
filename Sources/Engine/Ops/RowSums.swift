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

    fileprivate func row(_ index: Int) -> UnsafeRawPointer {
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

    fileprivate func add(row: Int, to out: UnsafeMutableBufferPointer<Float>) { add(row: row, norm: norm(row), to: out) }

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
    private var members: [Int] = []

    private struct Group: BitwiseCopyable {
        /// How many rows it has; 0 for a group not met yet.
        var count: Int32
        var last: Int32
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
    private mutating func remembered(_ id: Int, at index: Int, of ids: [Int], _ group: (Int, inout [Int]) -> Void) -> Int? {
        precondition(id >= 0)
        if groups[id].count == 0 { remember(id, group) }
        let count = Int(groups[id].count)
        return index + count <= ids.count && ids[index + count - 1] == Int(groups[id].last) ? count : nil
    }

    private mutating func remember(_ id: Int, _ group: (Int, inout [Int]) -> Void) {
        members.removeAll(keepingCapacity: true)
        group(id, &members)
        precondition(members.first == id)
        let sum = UnsafeMutableBufferPointer(start: sums + id * columns, count: columns)
        switch source {
        case .dense(let matrix):
            let addresses = members.map(matrix.row)
            addresses.withUnsafeBufferPointer { Self.sum($0, sum) }
        case .quantized(let matrix):
            sum.update(repeating: 0)
            for row in members { matrix.add(row: row, to: sum) }
        }
        groups[id] = Group(count: Int32(members.count), last: Int32(members.last!))
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
