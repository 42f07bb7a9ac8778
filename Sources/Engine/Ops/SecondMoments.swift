import Kernels

/// What the products of a forward pass took as inputs, by the name of the weights.
package final class InputRecorder {
    private(set) var moments: [String: SecondMoments] = [:]

    package init() {}

    /// Of the layers `names`, which have the same inputs.
    func moments(of names: [String], columns: Int) throws(InputError) -> SecondMoments {
        // Some layers are read twice: ALBERT's last one.
        let known = moments["\(names[0]).weight"]
        let found = if let known { known } else { try SecondMoments(columns: columns) }
        for name in names { moments["\(name).weight"] = found }
        return found
    }
}

/// H = Σ x·xᵀ over the rows x that a product took: an error e of a row of its weights becomes Σ (e·x)² = eᵀ·H·e. And their mean.
package final class SecondMoments: @unchecked Sendable {
    private typealias Lanes = SIMD16<Float>
    private static let lanes = 16
    /// The share of H's mean diagonal that is added to the diagonal: what is never seen must not be free.
    private static let damping: Float = 0.01

    private let columns: Int
    private let arena = Arena()
    /// [columns, columns]: of H the lower triangle; once it is factorized, L in the lower, Lᵀ in the upper one.
    private let sums: UnsafeMutablePointer<Float>
    private let zeros: UnsafeMutablePointer<Float>
    private var total: [Double]
    /// How many were seen.
    private(set) var rows = 0
    private var isFactorized = false

    init(columns: Int) throws(InputError) {
        self.columns = columns
        total = Array(repeating: 0, count: columns)
        sums = try arena.allocate(Float.self, columns * columns)
        zeros = try arena.allocate(Float.self, Linear.panel)
    }

    /// Of one thread.
    func add(_ x: Matrix, _ ops: Ops) {
        precondition(x.columns == columns && ops.thread.pointee.count == 1 && !isFactorized)
        let (rows, panel) = (x.rows, Linear.panel)
        self.rows += rows
        for row in 0..<rows {
            for column in 0..<columns { total[column] += Double(x.base[row * x.stride + column]) }
        }
        var epilogue = apus_epilogue(bias: zeros, residual: nil, residual_stride: 0, gelu: 0, reference: nil)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: columns * rows + (rows + columns) * panel) { scratch in
            let transposed = scratch.baseAddress!  // [columns, rows]
            let packed = transposed + columns * rows  // [rows, 64]
            let products = packed + rows * panel  // [columns, 64]
            for row in 0..<rows {
                for column in 0..<columns { transposed[column * rows + row] = x.base[row * x.stride + column] }
            }
            for first in stride(from: 0, to: columns, by: panel) {
                let width = min(panel, columns - first)
                apus_pack_f32(transposed + first * rows, rows, width, rows, packed)
                ops.kernels.pointee.gemm_f32(
                    transposed + first * rows, rows, columns - first, packed, rows, width, &epilogue, products, panel)
                for row in 0..<columns - first {
                    let sum = sums + (first + row) * columns + first
                    for column in 0..<width { sum[column] += products[row * panel + column] }
                }
            }
        }
    }

    /// The rows' mean; nil where no inputs were seen.
    var mean: [Float]? { rows == 0 ? nil : total.map { Float($0 / Double(rows)) } }

    /// From now on the moments of x − c.
    func center(at c: [Float]) {
        precondition(c.count == columns && !isFactorized)
        for row in 0..<columns {
            for column in 0...row {
                let crossed = total[row] * Double(c[column]) + total[column] * Double(c[row])
                sums[row * columns + column] -= Float(crossed - Double(rows) * Double(c[row]) * Double(c[column]))
            }
        }
        for column in 0..<columns { total[column] -= Double(rows) * Double(c[column]) }
    }

    /// The matrix' rows in int8 with the smallest eᵀ·H·e that one walk over the columns finds; nil where no inputs were seen.
    ///
    /// With H = L·Lᵀ that is ‖Lᵀ·e‖²: from the last column on, each weight is rounded after what the errors behind it call for
    /// (Babai's nearest plane; GPTQ, Frantar et al. 2022, is the same).
    ///
    /// - Parameter scales: a row's each, weight ≈ scale · int8.
    func round(_ matrix: StoredMatrix, scales: [Float]) -> [Int8]? {
        precondition(matrix.columns == columns && scales.count == matrix.rows)
        guard factorize() else { return nil }
        return [Int8](unsafeUninitializedCapacity: matrix.rows * columns) { values, count in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { row in
                withUnsafeTemporaryAllocation(of: Lanes.self, capacity: columns) { weights in
                    for first in stride(from: 0, to: matrix.rows, by: Self.lanes) {
                        let width = min(Self.lanes, matrix.rows - first)
                        weights.initialize(repeating: .zero)
                        for lane in 0..<width {
                            matrix.read(row: first + lane, into: row.baseAddress!)
                            for column in 0..<columns { weights[column][lane] = row[column] / scales[first + lane] }
                        }
                        round(weights.baseAddress!) { column, rounded in
                            for lane in 0..<width { values[(first + lane) * columns + column] = rounded[lane] }
                        }
                    }
                }
            }
            count = matrix.rows * columns
        }
    }

    /// Sixteen rows side by side, in steps: what comes in as weights are errors when it returns.
    private func round(_ weights: UnsafeMutablePointer<Lanes>, _ store: (Int, SIMD16<Int8>) -> Void) {
        for column in (0..<columns).reversed() {
            let factors = sums + column * columns
            var pull = Lanes.zero
            for behind in column + 1..<columns { pull += weights[behind] * factors[behind] }
            let rounded = (weights[column] + pull / factors[column]).rounded(.toNearestOrEven)
                .clamped(lowerBound: .init(repeating: -127), upperBound: .init(repeating: 127))
            weights[column] -= rounded
            store(column, SIMD16<Int8>(rounded))
        }
    }

    /// L·Lᵀ = H, damped (Cholesky), once; false where H is zero or not finite.
    private func factorize() -> Bool {
        let diagonal = (0..<columns).reduce(Float(0)) { $0 + sums[$1 * columns + $1] } / Float(columns)
        guard diagonal > 0, diagonal.isFinite else { return false }
        guard !isFactorized else { return true }
        isFactorized = true
        let damping = Self.damping * diagonal
        for row in 0..<columns {
            let values = sums + row * columns
            values[row] += damping
            for column in 0..<row {
                let other = sums + column * columns
                values[column] = (values[column] - Self.dot(values, other, column)) / other[column]
            }
            // Rounding cannot take more than a part of the damping away, but of sums near f32's end.
            values[row] = max(values[row] - Self.dot(values, values, row), damping / 2).squareRoot()
        }
        for row in 0..<columns {
            for column in row + 1..<columns { sums[row * columns + column] = sums[column * columns + row] }
        }
        return true
    }

    private static func dot(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ count: Int) -> Float {
        func load(_ values: UnsafePointer<Float>, _ index: Int) -> Lanes {
            UnsafeRawPointer(values + index).loadUnaligned(as: Lanes.self)
        }
        let whole = count / lanes * lanes
        var sums = Lanes.zero
        for index in stride(from: 0, to: whole, by: lanes) { sums += load(x, index) * load(y, index) }
        return (whole..<count).reduce(sums.sum()) { $0 + x[$1] * y[$1] }
    }
}
