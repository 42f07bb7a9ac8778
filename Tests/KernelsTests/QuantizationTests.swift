import Kernels
import Testing

@Suite struct QuantizationTests {
    private func quantized(_ row: KernelRow, _ x: [Float], rows: Int, columns: Int, xStride: Int) -> GuardedRows {
        let out = GuardedRows(rows: rows, stride: columns + 3)
        var kernelRows = out.kernelRows
        row.kernels.quantize_u8(x, xStride, rows, columns, &kernelRows)
        #expect(out.isIntact)
        for r in 0..<rows {
            #expect(
                (columns..<columns + 3).allSatisfy { out.values.base[r * out.stride + $0] == 0x5A }, "written past the row")
        }
        return out
    }

    @Test(arguments: KernelRow.supported)
    func `a row comes back within half a step for every width, and 0 comes back as 0`(_ row: KernelRow) {
        // Rows are taken six, two or one at a time, by their width.
        for (columns, rows) in counts.dropFirst().map({ ($0, 3) }) + [1, 5, 6, 7, 13].map({ (40, $0) }) + [
            (1025, 5), (3072, 8),
        ] {
            var x = random(rows * (columns + 1), seed: 40)
            // The second row is all positive.
            if rows > 1 { for index in (columns + 1)..<2 * (columns + 1) { x[index] = abs(x[index]) + 0.5 } }
            x[0] = 0
            let out = quantized(row, x, rows: rows, columns: columns, xStride: columns + 1)
            for r in 0..<rows {
                let (scale, zero) = (out.scale.base[r], out.zero.base[r])
                #expect(0...255 ~= zero && scale > 0)
                for c in 0..<columns {
                    let value = x[r * (columns + 1) + c]
                    let step = Int32(out.values.base[r * out.stride + c]) - zero
                    #expect(abs(value - scale * Float(step)) <= scale * 0.5001)
                    if value == 0 { #expect(step == 0) }
                }
            }
        }
    }

    @Test(arguments: KernelRow.supported)
    func `extremes stay within a byte, flat rows are zero, and damage shows in the scale`(_ row: KernelRow) {
        let cases: [[Float]] = [
            [0, 0, 0], [-0, 0, -0], [1e-38, 0, -1e-38], [3e38, -3e38, 0], [1, 1, 1], [-5, -5, -5], [1e-20, 1, -1e20],
        ]
        for x in cases {
            let out = quantized(row, x, rows: 1, columns: 3, xStride: 3)
            let (scale, zero) = (out.scale.base[0], out.zero.base[0])
            #expect(0...255 ~= zero && scale > 0, "\(x)")
            guard scale.isFinite, x.map(abs).max()! > 1e-30 else {
                if scale.isFinite { #expect(out.values.values.prefix(3).allSatisfy { Int32($0) == zero }) }
                continue
            }
            for c in 0..<3 {
                #expect(abs(x[c] - scale * Float(Int32(out.values.base[c]) - zero)) <= scale * 0.5001, "\(x)")
            }
        }
        for broken in [Float.nan, -.nan, .infinity, -.infinity] {
            for place in 0..<19 {
                var x = random(19, seed: 41)
                x[place] = broken
                let out = quantized(row, x, rows: 1, columns: 19, xStride: 19)
                #expect(out.scale.base[0].isNaN && out.zero.base[0] == 0)
                #expect(out.values.values.prefix(19).allSatisfy { $0 == 0 }, "a NaN's bits do not get into them")
            }
        }
    }

    @Test(arguments: KernelRow.supported)
    func `a row that is near its reference becomes the difference, and one that is far stays`(_ row: KernelRow) {
        for columns in counts.dropFirst() {
            let x = random(columns, seed: 45).map { $0 + 2 }
            for (distance, isRelative) in [(Float(0.01), true), (40, false), (.nan, false)] {
                let reference = zip(x, random(columns, seed: 46)).map { $0 + $1 * distance }
                let out = quantized(row, x, rows: 1, columns: columns, xStride: columns)
                let before = out.values.values
                var relative: UInt8 = 0x5A
                withUnsafeMutablePointer(to: &relative) { relative in
                    var kernelRows = out.kernelRows
                    kernelRows.relative = relative
                    row.kernels.quantize_u8(x, columns, 1, columns, &kernelRows)
                    #expect(relative.pointee == 0)
                    row.kernels.quantize_relative_u8(x, reference, columns, &kernelRows)
                }
                #expect((relative != 0) == isRelative && out.isIntact, "\(columns), \(distance)")
                guard isRelative else {
                    #expect(out.values.values == before)
                    continue
                }
                let (scale, zero) = (out.scale.base[0], out.zero.base[0])
                for c in 0..<columns {
                    let difference = scale * Float(Int32(out.values.base[c]) - zero)
                    #expect(abs(x[c] - reference[c] - difference) <= scale * 0.5001)
                }
            }
        }
    }

    @Test(arguments: KernelRow.supported)
    func `layer norm quantizes its result as the quantization would`(_ row: KernelRow) {
        for (columns, rows) in counts.dropFirst().map({ ($0, 2) }) + [5, 6, 7, 13].map({ (40, $0) }) + [(1040, 7)] {
            let (x, gamma, beta) = (random(rows * columns, seed: 42), random(columns, seed: 43), random(columns, seed: 44))
            let out = Guarded([Float](repeating: 0, count: rows * columns))
            let fused = GuardedRows(rows: rows, stride: columns + 3)
            var kernelRows = fused.kernelRows
            row.kernels.layernorm_f32(x, gamma, beta, 1e-5, rows, columns, out.base, &kernelRows)
            let apart = quantized(row, out.values, rows: rows, columns: columns, xStride: columns)
            #expect(fused.isIntact)
            #expect(fused.values.values == apart.values.values)
            #expect(fused.scale.values == apart.scale.values && fused.zero.values == apart.zero.values)
        }
    }
}
