import Kernels
import Testing

/// A random int8 matrix as one packed panel.
private struct Panel {
    let weights: [Int8]  // [columns][inner]
    let columns: Int
    let inner: Int
    let scales: [Float]
    let bias: [Float]
    var packed: [Int8]
    var sums: [Int32]

    init(_ weights: [Int8], columns: Int, inner: Int, _ row: KernelRow) {
        self.weights = weights
        self.columns = columns
        self.inner = inner
        scales = random(columns, 0.01, seed: 21) + [Float](repeating: 0, count: 64 - columns)
        bias = random(columns, seed: 22) + [Float](repeating: 0, count: 64 - columns)
        packed = [Int8](repeating: 99, count: row.steps(inner) * 64)
        sums = [Int32](repeating: 99, count: 64)
        row.kernels.pack_s8(weights, inner, columns, inner, &packed, &sums)
    }
}

@Suite struct GemmInt8Tests {
    /// Runs the kernel and compares every output with its definition, summed in 64 bits: equal, not close.
    private func expectExact(
        _ row: KernelRow, rows: Int, columns: Int, inner: Int, a: [UInt8]? = nil, zero: [Int32]? = nil,
        weights: [Int8]? = nil, gelu: Bool = false, hasResidual: Bool = false, extraStride: Int = 5
    ) {
        var generator = Random(rows * 1_000_003 + columns * 1009 + inner)
        let aStride = row.steps(inner) + extraStride
        let a =
            a ?? (0..<max(0, rows * aStride - extraStride)).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        let zero = zero ?? (0..<rows).map { _ in Int32.random(in: 0...255, using: &generator) }
        let input = GuardedRows(a, stride: aStride, scale: random(rows, 0.1, seed: 23), zero: zero)
        let panel = Panel(
            weights ?? (0..<columns * inner).map { _ in Int8.random(in: .min ... .max, using: &generator) },
            columns: columns, inner: inner, row)
        let cStride = columns + extraStride
        let residual = random(rows * cStride, seed: 24)
        let c = Guarded([Float](repeating: 7, count: rows * cStride), offset: 3)
        panel.packed.withUnsafeBufferPointer { packed in
            panel.sums.withUnsafeBufferPointer { sums in
                panel.scales.withUnsafeBufferPointer { scales in
                    panel.bias.withUnsafeBufferPointer { bias in
                        residual.withUnsafeBufferPointer { residual in
                            var rowsOfA = input.kernelRows
                            var b = apus_panel_s8(
                                values: packed.baseAddress, sums: sums.baseAddress, scales: scales.baseAddress)
                            var epilogue = apus_epilogue(
                                bias: bias.baseAddress, residual: hasResidual ? residual.baseAddress : nil,
                                residual_stride: cStride, gelu: gelu ? 1 : 0,
                                reference: nil)
                            row.kernels.gemm_u8s8(
                                &rowsOfA, rows, &b, row.steps(inner), columns, &epilogue, c.base, cStride)
                        }
                    }
                }
            }
        }
        let place = "\(row.testDescription): \(rows) × \(columns) × \(inner)"
        #expect(c.isIntact && input.isIntact, "\(place)")
        let found = c.values
        var wrong = 0
        for r in 0..<rows {
            for n in 0..<cStride {
                guard n < columns else {
                    if found[r * cStride + n] != 7 { wrong += 1 }
                    continue
                }
                var sum: Int64 = 0
                for k in 0..<inner {
                    sum += (Int64(a[r * aStride + k]) - Int64(zero[r])) * Int64(panel.weights[n * inner + k])
                }
                let product = (Float(Int32(sum)) * input.scale.base[r])
                let y = panel.bias[n].addingProduct(product, panel.scales[n])
                let expected = finished(y, gelu: gelu, residual: hasResidual ? residual[r * cStride + n] : nil, row.kernels)
                if found[r * cStride + n].bitPattern != expected.bitPattern { wrong += 1 }
            }
        }
        #expect(wrong == 0, "\(place): \(wrong) outputs")
    }

    @Test(arguments: KernelRow.supported)
    func `int8 products are exact for every number of rows`(_ row: KernelRow) {
        for rows in rowCounts { expectExact(row, rows: rows, columns: 64, inner: 132) }
    }

    @Test(arguments: KernelRow.supported)
    func `int8 products are exact for every width of a panel and write nothing beside it`(_ row: KernelRow) {
        for columns in 1...64 { expectExact(row, rows: 7, columns: columns, inner: 20, hasResidual: columns % 2 == 0) }
    }

    @Test(arguments: KernelRow.supported)
    func `int8 products are exact for every number of steps and around a cached piece`(_ row: KernelRow) {
        for inner in Array(1...72) + [124, 128, 132, 252, 256, 260, 384, 768, 1028, 3072] {
            for rows in [1, 8, 19, 33] { expectExact(row, rows: rows, columns: 33, inner: inner) }
        }
    }

    @Test(arguments: KernelRow.supported)
    func `the epilogue adds the bias, then GELU, then the residual`(_ row: KernelRow) {
        for columns in [3, 16, 47, 64] {
            for gelu in [false, true] {
                for hasResidual in [false, true] {
                    expectExact(row, rows: 5, columns: columns, inner: 64, gelu: gelu, hasResidual: hasResidual)
                }
            }
        }
    }

    @Test(arguments: KernelRow.supported)
    func `sums at both ends of int32 neither saturate nor wrap`(_ row: KernelRow) {
        let inner = 65_792  // 255 · 128 · 65,792 = 2,147,450,880 < 2³¹, and whole tiles of 64
        for (value, zero) in [(UInt8(255), Int32(0)), (0, 255)] {
            for weight in [Int8(-128), 127] {
                expectExact(
                    row, rows: 2, columns: 2, inner: inner, a: [UInt8](repeating: value, count: 2 * inner),
                    zero: [zero, zero],
                    weights: [Int8](repeating: weight, count: 2 * inner), extraStride: 0)
            }
        }
    }

    @Test(arguments: KernelRow.supported)
    func `neighbouring extremes, which saturate 16 bits, are exact`(_ row: KernelRow) {
        for inner in [4, 64, 260].map(row.steps) {
            for (first, second) in [(Int8(-128), Int8(-128)), (127, 127), (127, -128)] {
                let weights = (0..<64 * inner).map { $0 % 2 == 0 ? first : second }
                let a = [UInt8](repeating: 255, count: 7 * inner)
                expectExact(
                    row, rows: 7, columns: 64, inner: inner, a: a, zero: [0, 255, 1, 128, 127, 254, 3], weights: weights,
                    extraStride: 0)
            }
        }
    }

    @Test(arguments: KernelRow.supported)
    func `packing writes whole panels and no more, sums up, and is undone by products with unit vectors`(_ row: KernelRow) {
        for (columns, inner) in [(1, 1), (3, 4), (64, 7), (63, 64), (17, 130)] {
            let stride = inner + 3
            var generator = Random(inner)
            let weights = (0..<columns * stride).map { _ in Int8.random(in: .min ... .max, using: &generator) }
            let steps = row.steps(inner)
            let panel = Guarded([Int8](repeating: 99, count: steps * 64), canary: 55)
            let sums = Guarded([Int32](repeating: 99, count: 64), canary: 55)
            row.kernels.pack_s8(weights, stride, columns, inner, panel.base, sums.base)
            #expect(panel.isIntact && sums.isIntact)
            // Row k of A is the k-th unit vector, so that row k of the product is step k of the panel.
            var unit = [UInt8](repeating: 0, count: steps * steps)
            for k in 0..<steps { unit[k * steps + k] = 1 }
            let a = GuardedRows(
                unit, stride: steps, scale: [Float](repeating: 1, count: steps), zero: [Int32](repeating: 0, count: steps))
            let (ones, none) = ([Float](repeating: 1, count: 64), [Float](repeating: 0, count: 64))
            var found = [Float](repeating: .nan, count: steps * 64)
            ones.withUnsafeBufferPointer { ones in
                none.withUnsafeBufferPointer { none in
                    var rows = a.kernelRows
                    var b = apus_panel_s8(values: panel.base, sums: sums.base, scales: ones.baseAddress)
                    var epilogue = apus_epilogue(
                        bias: none.baseAddress, residual: nil, residual_stride: 0, gelu: 0, reference: nil)
                    row.kernels.gemm_u8s8(&rows, steps, &b, steps, 64, &epilogue, &found, 64)
                }
            }
            for n in 0..<64 {
                let expected = (0..<steps).map { n < columns && $0 < inner ? weights[n * stride + $0] : 0 }
                #expect((0..<steps).map { Int8(found[$0 * 64 + n]) } == expected)
                #expect(sums.base[n] == expected.reduce(Int32(0)) { $0 + Int32($1) })
            }
        }
    }

    @Test func `weights are quantized to the nearest of 127 steps, ties to even, and damage shows in the scale`() {
        var out = [Int8](repeating: 0, count: 6)
        #expect(apus_quantize_weights([127, -127, 0.5, 1.5, -2.5, 0], 6, &out) == 1)
        #expect(out == [127, -127, 0, 2, -2, 0])
        #expect(apus_quantize_weights([0, 0, -0], 3, &out) == 1)
        #expect(out.prefix(3) == [0, 0, 0])
        for broken in [Float.nan, .infinity, -.infinity] {
            #expect(apus_quantize_weights([1, broken, 3], 3, &out).isNaN)
            #expect(out.prefix(3) == [0, 0, 0])
        }
        let weights = random(1000, 0.3, seed: 30)
        var quantized = [Int8](repeating: 0, count: 1000)
        let scale = apus_quantize_weights(weights, 1000, &quantized)
        #expect(scale == weights.map(abs).max()! / 127)
        for (weight, step) in zip(weights, quantized) { #expect(abs(weight - scale * Float(step)) <= scale * 0.50001) }
    }
}
