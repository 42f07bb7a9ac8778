import Foundation
import Kernels
import Testing

/// A row of the kernels' table; tests run once for each that the host has.
struct KernelRow: CustomTestStringConvertible, Sendable {
    let index: Int
    var kernels: apus_kernels { apus_kernels_at(index).pointee }
    var isSupported: Bool { apus_kernels_supported(index) != 0 }
    var testDescription: String { String(cString: kernels.isa) }

    static let all = (0..<apus_kernels_count()).map { KernelRow(index: Int($0)) }
    static let supported = all.filter(\.isSupported)
}

extension Trait where Self == ConditionTrait {
    /// The test is reported as skipped on a CPU, or in a build, without the instruction set.
    static func needs(_ isa: String) -> Self {
        .enabled(if: KernelRow.supported.contains { $0.testDescription == isa }, "this CPU does not have \(isa)")
    }
}

/// Memory with a canary on either side.
final class Guarded {
    private static let margin = 32
    private static let canary: Float = -1234.5
    private let storage: UnsafeMutablePointer<Float>
    let count: Int

    /// `offset` moves the start off its alignment.
    init(_ values: [Float], offset: Int = 0) {
        count = values.count
        storage = .allocate(capacity: count + 3 * Self.margin)
        storage.initialize(repeating: Self.canary, count: count + 3 * Self.margin)
        base = storage + Self.margin + offset
        for (index, value) in values.enumerated() { base[index] = value }
    }

    let base: UnsafeMutablePointer<Float>
    var values: [Float] { Array(UnsafeBufferPointer(start: base, count: count)) }
    var isIntact: Bool {
        (storage..<base).allSatisfy { $0.pointee == Self.canary }
            && (base + count..<storage + count + 3 * Self.margin).allSatisfy { $0.pointee == Self.canary }
    }

    deinit { storage.deallocate() }
}

func random(_ count: Int, _ scale: Float = 2, seed: UInt64 = 1) -> [Float] {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(count)
    return (0..<count).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return scale * (Float(state >> 40) / Float(1 << 23) - 1)
    }
}

/// Every count from 0 past two vectors, and some far beyond.
let counts = Array(0...35) + [64, 100, 384, 768, 1001]

@Suite struct KernelTests {
    // These say by being skipped which sets the tests below could not run.
    @Test(.needs("avx2")) func `the avx2 kernels are tested`() { expectTested("avx2") }
    @Test(.needs("avx512")) func `the avx512 kernels are tested`() { expectTested("avx512") }
    @Test(.needs("avx512vnni")) func `the avx512vnni kernels are tested`() { expectTested("avx512vnni") }

    private func expectTested(_ isa: String) { #expect(KernelRow.supported.contains { $0.testDescription == isa }) }

    @Test func `the table begins with scalar, which every CPU runs, and names each set once`() {
        let names = KernelRow.all.map(\.testDescription)
        #expect(names.first == "scalar")
        #expect(KernelRow.all[0].isSupported)
        #expect(Set(names).count == names.count)
    }

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
    func `activations keep their limits at the extremes and pass NaN on`(_ row: KernelRow) {
        let extremes: [Float] = [0, -0, 1e-38, -1e-38, 1e30, -1e30, .infinity, 88, -88, 200, -200]
        let gelu = Guarded(extremes)
        row.kernels.gelu_f32(gelu.base, extremes.count)
        #expect(gelu.values == [0, 0, 5e-39, -5e-39, 1e30, 0, .infinity, 88, 0, 200, 0])
        let softmax = Guarded([1, .nan, 2])
        row.kernels.softmax_f32(softmax.base, 3)
        #expect(softmax.values.contains { $0.isNaN })
        let tanh = Guarded(extremes)
        row.kernels.tanh_f32(tanh.base, extremes.count)
        #expect(tanh.values == [0, 0, 0, 0, 1, -1, 1, 1, -1, 1, -1])
        for kernel in [row.kernels.gelu_f32, row.kernels.tanh_f32] {
            let x = Guarded([.nan, 1])
            kernel?(x.base, 2)
            #expect(x.values[0].isNaN && !x.values[1].isNaN)
        }
    }

    @Test(arguments: KernelRow.supported)
    func `layer norm equals its definition for every width, with and without a residual`(_ row: KernelRow) {
        for columns in counts where columns > 0 {
            for rows in [0, 1, 3] {
                let (x, residual) = (random(rows * columns, seed: 2), random(rows * columns, seed: 3))
                let (gamma, beta) = (random(columns, seed: 4), random(columns, seed: 5))
                for usesResidual in [false, true] {
                    let out = Guarded([Float](repeating: 7, count: rows * columns), offset: 1)
                    row.kernels.layernorm_f32(
                        x, usesResidual ? residual : nil, gamma, beta, 1e-5, rows, columns, out.base)
                    #expect(out.isIntact)
                    for r in 0..<rows {
                        let y = (0..<columns).map {
                            Double(x[r * columns + $0] + (usesResidual ? residual[r * columns + $0] : 0))
                        }
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
        for (headSize, keys) in [(1, 1), (5, 3), (12, 17), (16, 16), (20, 33), (32, 2), (64, 100), (100, 15)] {
            for queries in [0, 1, 4] {
                let stride = headSize + 3
                let q = random(max(queries, 1) * stride, seed: 7)
                let (k, v) = (random(keys * stride, seed: 8), random(keys * stride, seed: 9))
                let out = Guarded([Float](repeating: 9, count: max(queries, 1) * stride))
                let scores = Guarded([Float](repeating: 0, count: keys))
                row.kernels.attention_f32(
                    q, stride, queries, k, v, stride, keys, headSize, 0.3, scores.base, out.base, stride)
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

    @Test func `all instruction sets give the same bits`() {
        func bits(_ kernels: apus_kernels, _ columns: Int) -> [UInt32] {
            let input = random(3 * columns, 6, seed: 10)
            let parameters = random(columns, seed: 11)
            var result: [Float] = []
            for kernel in [kernels.gelu_f32, kernels.tanh_f32, kernels.softmax_f32] {
                let x = Guarded(input)
                kernel?(x.base, x.count)
                result += x.values
            }
            let out = Guarded([Float](repeating: 0, count: 3 * columns))
            kernels.layernorm_f32(input, input, parameters, parameters, 1e-5, 3, columns, out.base)
            result += out.values
            let scores = Guarded([0, 0, 0])
            kernels.attention_f32(
                input, columns, 3, input, input, columns, 3, columns, 0.2, scores.base, out.base, columns)
            return (result + out.values).map(\.bitPattern)
        }
        for columns in counts where columns > 0 {
            let scalar = bits(KernelRow.all[0].kernels, columns)
            for row in KernelRow.supported.dropFirst() {
                #expect(bits(row.kernels, columns) == scalar, "\(row.testDescription), \(columns) columns")
            }
        }
    }
}
