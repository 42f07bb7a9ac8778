import Kernels
import Testing

@Suite struct GemmF32Tests {
    /// Runs the kernel and compares every output with its definition, one chain of fused steps: equal, not close.
    private func expectExact(
        _ row: KernelRow, rows: Int, columns: Int, inner: Int, gelu: Bool = false, hasResidual: Bool = false
    ) {
        let (aStride, cStride) = (inner + 3, columns + 5)
        let a = random(max(1, rows * aStride), seed: rows)
        let weights = random(columns * inner, seed: inner)
        var packed = [Float](repeating: 99, count: inner * 64)
        apus_pack_f32(weights, inner, columns, inner, &packed)
        let bias = random(64, seed: 3)
        let residual = random(max(1, rows * cStride), seed: 4)
        let c = Guarded([Float](repeating: 7, count: rows * cStride), offset: 3)
        bias.withUnsafeBufferPointer { bias in
            residual.withUnsafeBufferPointer { residual in
                var epilogue = apus_epilogue(
                    bias: bias.baseAddress, residual: hasResidual ? residual.baseAddress : nil, residual_stride: cStride,
                    gelu: gelu ? 1 : 0, reference: nil)
                row.kernels.gemm_f32(a, aStride, rows, packed, inner, columns, &epilogue, c.base, cStride)
            }
        }
        let place = "\(row.testDescription): \(rows) × \(columns) × \(inner)"
        #expect(c.isIntact, "\(place)")
        let found = c.values
        var wrong = 0
        for r in 0..<rows {
            for n in 0..<cStride {
                guard n < columns else {
                    if found[r * cStride + n] != 7 { wrong += 1 }
                    continue
                }
                var sum: Float = 0
                for k in 0..<inner { sum.addProduct(a[r * aStride + k], weights[n * inner + k]) }
                let expected = finished(
                    sum + bias[n], gelu: gelu, residual: hasResidual ? residual[r * cStride + n] : nil, row.kernels)
                if found[r * cStride + n].bitPattern != expected.bitPattern { wrong += 1 }
            }
        }
        #expect(wrong == 0, "\(place): \(wrong) outputs")
    }

    @Test(arguments: KernelRow.supported)
    func `f32 products are one chain of fused steps for every number of rows`(_ row: KernelRow) {
        for rows in rowCounts { expectExact(row, rows: rows, columns: 64, inner: 65) }
    }

    @Test(arguments: KernelRow.supported)
    func `f32 products are exact for every width of a panel and write nothing beside it`(_ row: KernelRow) {
        for columns in 1...64 { expectExact(row, rows: 7, columns: columns, inner: 19, hasResidual: columns % 2 == 0) }
    }

    @Test(arguments: KernelRow.supported)
    func `f32 products keep their bits across pieces and blocks of k`(_ row: KernelRow) {
        for inner in [1, 2, 31, 32, 33, 63, 64, 96, 511, 512, 513, 1024, 1537] {
            for rows in [1, 13, 25] {
                expectExact(row, rows: rows, columns: 64, inner: inner)
                expectExact(row, rows: rows, columns: 20, inner: inner)
            }
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

    @Test func `packing puts 64 outputs side by side, zero past the matrix`() {
        for (columns, inner) in [(1, 1), (3, 16), (64, 17), (63, 40)] {
            let stride = inner + 2
            let weights = random(columns * stride, seed: 9)
            let panel = Guarded([Float](repeating: 99, count: inner * 64))
            apus_pack_f32(weights, stride, columns, inner, panel.base)
            #expect(panel.isIntact)
            for k in 0..<inner {
                #expect(
                    (0..<64).map { panel.base[k * 64 + $0] } == (0..<64).map { $0 < columns ? weights[$0 * stride + k] : 0 })
            }
        }
    }
}
