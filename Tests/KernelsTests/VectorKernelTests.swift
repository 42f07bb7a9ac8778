import Foundation
import Kernels
import Testing

/// Activations, layer norm, softmax and attention.
@Suite struct VectorKernelTests {
    @Test(arguments: KernelRow.supported)
    func `gelu equals x·Φ(x) for every count and start and writes nothing beside`(_ row: KernelRow) {
        for count in counts {
            for offset in [0, 1, 7] {
                let input = random(count, 8)
                let x = Guarded(input, offset: offset)
                row.kernels.gelu_f32(x.base, count)
                #expect(x.isIntact)
                for (value, result) in zip(input, x.values) {
                    let expected = Double(value) * 0.5 * erfc(-Double(value) / 2.0.squareRoot())
                    #expect(abs(Double(result) - expected) <= 5e-7 * max(1, abs(Double(value))))
                }
            }
        }
    }

    @Test(arguments: KernelRow.supported)
    func `tanh equals the C library's for every count`(_ row: KernelRow) {
        for count in counts {
            let input = random(count, 12)
            let x = Guarded(input, offset: 3)
            row.kernels.tanh_f32(x.base, count)
            #expect(x.isIntact)
            for (value, result) in zip(input, x.values) { #expect(abs(Double(result) - tanh(Double(value))) <= 3e-7) }
        }
    }

    @Test(arguments: KernelRow.supported)
    func `silu, relu and the approximate gelu equal their definitions for every count`(_ row: KernelRow) {
        func gelu(_ x: Double) -> Double { x / 2 * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x))) }
        let kernels: [(kernel: (@convention(c) (UnsafeMutablePointer<Float>?, Int) -> Void)?, (Double) -> Double)] = [
            (row.kernels.silu_f32, { $0 / (1 + exp(-$0)) }), (row.kernels.relu_f32, { max($0, 0) }),
            (row.kernels.gelu_tanh_f32, gelu),
        ]
        for (kernel, definition) in kernels {
            for count in counts {
                let input = random(count, 12)
                let x = Guarded(input, offset: 5)
                kernel?(x.base, count)
                #expect(x.isIntact)
                for (value, result) in zip(input, x.values) {
                    let value = Double(value)
                    #expect(abs(Double(result) - definition(value)) <= 1e-6 * max(1, abs(value)))
                }
            }
        }
    }

    @Test(arguments: KernelRow.supported)
    func `activations keep their limits at the extremes and pass NaN on`(_ row: KernelRow) {
        let extremes: [Float] = [0, -0, 1e-38, -1e-38, 1e30, -1e30, .infinity, 88, -88, 200, -200]
        let gelu = Guarded(extremes)
        row.kernels.gelu_f32(gelu.base, extremes.count)
        #expect(gelu.values == [0, 0, 1e-38 / 2, -1e-38 / 2, 1e30, 0, .infinity, 88, 0, 200, 0])
        let softmax = Guarded([1, .nan, 2])
        row.kernels.softmax_f32(softmax.base, 3)
        #expect(softmax.values.contains { $0.isNaN })
        let tanh = Guarded(extremes)
        row.kernels.tanh_f32(tanh.base, extremes.count)
        #expect(tanh.values == [0, 0, 0, 0, 1, -1, 1, 1, -1, 1, -1])
        for kernel in [row.kernels.silu_f32, row.kernels.gelu_tanh_f32, row.kernels.relu_f32] {
            let x = Guarded(extremes + [-.infinity])
            kernel?(x.base, x.count)
            for (value, result) in zip(extremes + [-.infinity], x.values) {
                #expect(abs(value) < 1 ? abs(result) <= abs(value) : result == max(value, 0))
            }
        }
        for kernel in [
            row.kernels.gelu_f32, row.kernels.tanh_f32, row.kernels.silu_f32, row.kernels.gelu_tanh_f32,
            row.kernels.relu_f32,
        ] {
            let x = Guarded([.nan, 1])
            kernel?(x.base, 2)
            #expect(x.values[0].isNaN && !x.values[1].isNaN)
        }
    }

    @Test(arguments: KernelRow.supported)
    func `layer norm equals its definition for every width`(_ row: KernelRow) {
        for columns in counts where columns > 0 {
            for rows in [0, 1, 3, 6, 13] {
                let x = random(rows * columns, seed: 2)
                let (gamma, beta) = (random(columns, seed: 4), random(columns, seed: 5))
                let out = Guarded([Float](repeating: 7, count: rows * columns), offset: 1)
                row.kernels.layernorm_f32(x, gamma, beta, 1e-5, rows, columns, out.base, nil)
                #expect(out.isIntact)
                for r in 0..<rows {
                    let y = (0..<columns).map { Double(x[r * columns + $0]) }
                    let mean = y.reduce(0, +) / Double(columns)
                    let variance = y.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(columns)
                    for c in 0..<columns {
                        let expected = (y[c] - mean) / (variance + 1e-5).squareRoot() * Double(gamma[c]) + Double(beta[c])
                        #expect(abs(Double(out.values[r * columns + c]) - expected) < 2e-5)
                    }
                }
            }
        }
    }

    @Test(arguments: KernelRow.supported)
    func `softmax adds up to one, keeps the order and survives large values`(_ row: KernelRow) {
        for count in counts where count > 0 {
            let input = random(count, 20, seed: 6)
            let x = Guarded(input, offset: 5)
            row.kernels.softmax_f32(x.base, count)
            #expect(x.isIntact)
            let largest = Double(input.max()!)
            let sum = input.map { exp(Double($0) - largest) }.reduce(0, +)
            for (value, share) in zip(input, x.values) {
                #expect(abs(Double(share) - exp(Double(value) - largest) / sum) < 1e-6)
            }
        }
        let huge = Guarded([1e30, -1e30, 1e30])
        row.kernels.softmax_f32(huge.base, 3)
        #expect(huge.values == [0.5, 0, 0.5])
    }

    @Test(arguments: KernelRow.supported)
    func `attention equals its definition for every number of keys and head size, in wider rows`(_ row: KernelRow) {
        for (headSize, keys) in [(1, 1), (5, 3), (12, 17), (16, 16), (20, 33), (32, 2), (64, 100), (100, 15), (64, 130)] {
            for queries in [0, 1, 4, 7, 13] {
                let stride = headSize + 3
                let q = random(max(queries, 1) * stride, seed: 7)
                let (k, v) = (random(keys * stride, seed: 8), random(keys * stride, seed: 9))
                let out = Guarded([Float](repeating: 9, count: max(queries, 1) * stride))
                let scores = Guarded([Float](repeating: 0, count: row.kernels.attention_f32_scratch(keys, headSize)))
                row.kernels.attention_f32(
                    q, stride, queries, k, v, stride, keys, headSize, 0.3, nil, scores.base, out.base, stride)
                #expect(out.isIntact && scores.isIntact)
                for i in 0..<queries {
                    let products = (0..<keys).map { j in
                        0.3 * (0..<headSize).reduce(0.0) { $0 + Double(q[i * stride + $1]) * Double(k[j * stride + $1]) }
                    }
                    let weights = products.map { exp($0 - products.max()!) }
                    for c in 0..<stride {
                        let result = Double(out.values[i * stride + c])
                        if c >= headSize {
                            #expect(result == 9, "columns past the head are not written")
                            continue
                        }
                        let expected = (0..<keys).reduce(0.0) { $0 + weights[$1] * Double(v[$1 * stride + c]) }
                        #expect(abs(result - expected / weights.reduce(0, +)) < 1e-5)
                    }
                }
            }
        }
    }

    @Test(arguments: KernelRow.supported)
    func `a bias is added to the scores, by query and key or by their distance, and −∞ hides a key`(_ row: KernelRow) {
        for (headSize, keys) in [(1, 1), (16, 16), (20, 33), (64, 100)] {
            let (q, kv) = (random(keys * headSize, seed: 15), random(keys * headSize, seed: 16))
            var byDistance = random(2 * keys - 1, 3, seed: 17)
            for distance in byDistance.indices where abs(distance - (keys - 1)) > 20 { byDistance[distance] = -.infinity }
            // The same numbers in both forms: the bits must be the same, too.
            let byPair = (0..<keys * keys).map { byDistance[$0 % keys - $0 / keys + keys - 1] }
            func run(_ values: UnsafePointer<Float>, stride: Int) -> [Float] {
                let scratch = Guarded([Float](repeating: 0, count: row.kernels.attention_f32_scratch(keys, headSize)))
                let out = Guarded([Float](repeating: 0, count: keys * headSize))
                var bias = apus_score_bias(values: values, stride: stride)
                row.kernels.attention_f32(
                    q, headSize, keys, kv, kv, headSize, keys, headSize, 0.3, &bias, scratch.base, out.base, headSize)
                #expect(out.isIntact && scratch.isIntact)
                return out.values
            }
            let found = byPair.withUnsafeBufferPointer { run($0.baseAddress!, stride: keys) }
            #expect(byDistance.withUnsafeBufferPointer { run($0.baseAddress! + keys - 1, stride: -1) } == found)
            for i in 0..<keys {
                let scores = (0..<keys).map { j in
                    0.3 * (0..<headSize).reduce(0.0) { $0 + Double(q[i * headSize + $1]) * Double(kv[j * headSize + $1]) }
                        + Double(byPair[i * keys + j])
                }
                let weights = scores.map { exp($0 - scores.max()!) }
                for c in 0..<headSize {
                    let expected = (0..<keys).reduce(0.0) { $0 + weights[$1] * Double(kv[$1 * headSize + c]) }
                    #expect(abs(Double(found[i * headSize + c]) - expected / weights.reduce(0, +)) < 1e-5)
                }
            }
        }
    }

    @Test func `all instruction sets give the same bits`() {
        func bits(_ kernels: apus_kernels, _ columns: Int) -> [UInt32] {
            let input = random(8 * columns, 6, seed: 10)
            let parameters = random(columns, seed: 11)
            var result: [Float] = []
            for kernel in [
                kernels.gelu_f32, kernels.gelu_tanh_f32, kernels.silu_f32, kernels.relu_f32, kernels.tanh_f32,
                kernels.softmax_f32,
            ] {
                let x = Guarded(input)
                kernel?(x.base, x.count)
                result += x.values
            }
            let out = Guarded([Float](repeating: 0, count: 8 * columns))
            let rows = GuardedRows(rows: 8, stride: columns)
            var kernelRows = rows.kernelRows
            kernels.layernorm_f32(input, parameters, parameters, 1e-5, 8, columns, out.base, &kernelRows)
            result += out.values + rows.scale.values + rows.zero.values.map(Float.init) + rows.values.values.map(Float.init)
            for keys in [1, 2, 3] {
                let scratch = Guarded([Float](repeating: 0, count: kernels.attention_f32_scratch(keys, columns)))
                kernels.attention_f32(
                    input, columns, 3, input, input, columns, keys, columns, 0.2, nil, scratch.base, out.base, columns)
                result += out.values
            }
            return result.map(\.bitPattern)
        }
        for columns in counts where columns > 0 {
            let scalar = bits(KernelRow.all[0].kernels, columns)
            for row in KernelRow.supported.dropFirst() {
                #expect(bits(row.kernels, columns) == scalar, "\(row.testDescription), \(columns) columns")
            }
        }
    }

    @Test(arguments: KernelRow.supported)
    func `attention passes damage on`(_ row: KernelRow) {
        var q = random(2 * 16, seed: 12)
        let kv = random(5 * 16, seed: 13)
        q[3] = .nan
        let scratch = Guarded([Float](repeating: 0, count: row.kernels.attention_f32_scratch(5, 16)))
        let out = Guarded([Float](repeating: 0, count: 2 * 16))
        row.kernels.attention_f32(q, 16, 2, kv, kv, 16, 5, 16, 0.25, nil, scratch.base, out.base, 16)
        #expect(out.values.prefix(16).allSatisfy(\.isNaN) && out.values.suffix(16).allSatisfy(\.isFinite))
    }
}
