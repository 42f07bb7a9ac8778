import Benchmark
import Foundation
import Kernels

/// Everything but the products with weights, beside the arithmetic peak and the scalar kernel in the same run.
func vectorBenchmarks() {
    for row in KernelRow.supported.dropFirst() {
        for kernel in kernels {
            let isa = kernel.isInt8 ? row.isa : String(cString: row.kernels.f32_isa)  // rows share f32 kernels
            guard isa == row.isa else { continue }
            measure("\(kernel.name), \(isa)", [kernel.figure, .ofScalar, .nanoseconds]) {
                let own = Repeated(try kernel.make(row.kernels))
                let scalar = Repeated(try kernel.make(KernelRow.scalar.kernels))
                let peak = PeakRate(kernel.isInt8 ? row.kernels.peak_u8s8 : row.kernels.peak_f32)
                return compare(own, with: peak, kernel.figure, amount: kernel.amount, beside: (scalar, .ofScalar))
            }
        }
    }
}

private struct VectorKernel {
    let name: String
    var isInt8 = false
    /// What `amount` is compared as: elements, or operations.
    let figure: Figure
    let amount: Double
    /// Checks the kernel against its definition in Double, then gives it back.
    let make: (apus_kernels) throws -> () -> Void

    static func elements(
        _ name: String, _ count: Int, _ make: @escaping (apus_kernels) throws -> () -> Void
    ) -> VectorKernel {
        VectorKernel(name: name, figure: .elements, amount: Double(count), make: make)
    }

    /// Attention of 128 tokens: two products, 2 operations for each query, key and value of a head.
    static func attention(
        _ name: String, _ head: Int, isInt8: Bool, bound: Double, _ kernel: @escaping (apus_kernels) -> Attention
    ) -> VectorKernel {
        VectorKernel(name: name, isInt8: isInt8, figure: .ofPeakOfPass, amount: Double(2 * 2 * 128 * 128 * head)) {
            try ApusBenchmarks.attention($0, kernel($0), 128, head, bound: bound)
        }
    }
}

private let kernels: [VectorKernel] = [
    .elements("layernorm_f32, 32 rows of 384", 32 * 384) { try layerNorm($0, rows: 32, columns: 384) },
    .elements("layernorm_f32, 32 rows of 768", 32 * 768) { try layerNorm($0, rows: 32, columns: 768) },
    .elements("gelu_f32, 32 rows of 1536", 32 * 1536) { try gelu($0, count: 32 * 1536) },
    .elements("softmax_f32, 128 values", 128) { try softmax($0, count: 128) },
    .elements("quantize_u8, 32 rows of 384", 32 * 384) { try quantize($0, rows: 32, columns: 384) },
    .elements("quantize_u8, 32 rows of 3072", 32 * 3072) { try quantize($0, rows: 32, columns: 3072) },
    .attention("attention_f32, 128 tokens, heads of 32", 32, isInt8: false, bound: 1e-5) { $0.attention_f32 },
    .attention("attention_f32, 128 tokens, heads of 64", 64, isInt8: false, bound: 1e-5) { $0.attention_f32 },
    .attention("attention_u8s8, 128 tokens, heads of 32", 32, isInt8: true, bound: 0.03) { $0.attention_u8s8 },
    .attention("attention_u8s8, 128 tokens, heads of 64", 64, isInt8: true, bound: 0.03) { $0.attention_u8s8 },
]

private func expectClose(_ found: [Float], _ expected: [Double], _ bound: Double) throws {
    for (index, (x, y)) in zip(found, expected).enumerated() {
        try expect(abs(Double(x) - y) <= bound * max(1, abs(y)), "value \(index) is \(x), not \(y)")
    }
}

private func layerNorm(_ kernels: apus_kernels, rows: Int, columns: Int) throws -> () -> Void {
    let x = Buffer(Suite.random(rows * columns, 3))
    let (gamma, beta) = (Buffer(Suite.random(columns, seed: 2)), Buffer(Suite.random(columns, seed: 3)))
    let out = Buffer([Float](repeating: 0, count: rows * columns))
    let body = {
        kernels.layernorm_f32(x.base, gamma.base, beta.base, 1e-5, rows, columns, out.base, nil)
        blackHole(out.base[0])
    }
    body()
    let expected = (0..<rows).flatMap { r in
        let values = (0..<columns).map { Double(x.base[r * columns + $0]) }
        let mean = values.reduce(0, +) / Double(columns)
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(columns)
        return (0..<columns).map {
            (values[$0] - mean) / (variance + 1e-5).squareRoot() * Double(gamma.base[$0]) + Double(beta.base[$0])
        }
    }
    try expectClose(out.values, expected, 1e-5)
    return body
}

private func gelu(_ kernels: apus_kernels, count: Int) throws -> () -> Void {
    let values = Suite.random(count, 5)
    let x = Buffer(values)
    kernels.gelu_f32(x.base, count)
    try expectClose(x.values, values.map { Double($0) * 0.5 * (1 + erf(Double($0) / 2.0.squareRoot())) }, 1e-6)
    let source = Buffer(values)
    return {
        // It works in place: each time from the same values.
        memcpy(x.base, source.base, count * MemoryLayout<Float>.stride)
        kernels.gelu_f32(x.base, count)
        blackHole(x.base[0])
    }
}

private func softmax(_ kernels: apus_kernels, count: Int) throws -> () -> Void {
    let values = Suite.random(count, 5)
    let x = Buffer(values)
    kernels.softmax_f32(x.base, count)
    let exponentials = values.map { exp(Double($0)) }
    let sum = exponentials.reduce(0, +)
    try expectClose(x.values, exponentials.map { $0 / sum }, 1e-6)
    let source = Buffer(values)
    return {
        memcpy(x.base, source.base, count * MemoryLayout<Float>.stride)
        kernels.softmax_f32(x.base, count)
        blackHole(x.base[0])
    }
}

private func quantize(_ kernels: apus_kernels, rows: Int, columns: Int) throws -> () -> Void {
    let x = Buffer(Suite.random(rows * columns, 3))
    let values = Buffer([UInt8](repeating: 0, count: rows * columns))
    let (scale, zero) = (Buffer([Float](repeating: 0, count: rows)), Buffer([Int32](repeating: 0, count: rows)))
    let body = {
        var out = apus_rows_u8(values: values.base, stride: columns, scale: scale.base, zero: zero.base, relative: nil)
        kernels.quantize_u8(x.base, columns, rows, columns, &out)
        blackHole(values.base[0])
    }
    body()
    for index in 0..<rows * columns {
        let r = index / columns
        let found = Double(scale.base[r]) * Double(Int32(values.base[index]) - zero.base[r])
        try expect(abs(found - Double(x.base[index])) <= 0.51 * Double(scale.base[r]) + 1e-6, "value \(index) is \(found)")
    }
    return body
}

private typealias Attention =
    @convention(c) (
        UnsafePointer<Float>?, Int, Int, UnsafePointer<Float>?, UnsafePointer<Float>?, Int, Int, Int, Float,
        UnsafePointer<apus_score_bias>?, UnsafeMutablePointer<Float>?, UnsafeMutablePointer<Float>?, Int
    ) -> Void

private func attention(
    _ kernels: apus_kernels, _ kernel: @escaping Attention, _ tokens: Int, _ head: Int, bound: Double
) throws -> () -> Void {
    let (q, k) = (Buffer(Suite.random(tokens * head, seed: 1)), Buffer(Suite.random(tokens * head, seed: 2)))
    let v = Buffer(Suite.random(tokens * head, seed: 3))
    let scratch = Buffer(
        [Float](
            repeating: 0,
            count: max(kernels.attention_f32_scratch(tokens, head), kernels.attention_u8s8_scratch(tokens, head))))
    let out = Buffer([Float](repeating: 0, count: tokens * head))
    let scale = 1 / Float(head).squareRoot()
    let body = {
        kernel(q.base, head, tokens, k.base, v.base, head, tokens, head, scale, nil, scratch.base, out.base, head)
        blackHole(out.base[0])
    }
    body()
    let expected = (0..<tokens).flatMap { i in
        let weights = (0..<tokens).map { j in
            exp(Double(scale) * (0..<head).reduce(0) { $0 + Double(q.base[i * head + $1]) * Double(k.base[j * head + $1]) })
        }
        let sum = weights.reduce(0, +)
        return (0..<head).map { c in (0..<tokens).reduce(0) { $0 + weights[$1] / sum * Double(v.base[$1 * head + c]) } }
    }
    try expectClose(out.values, expected, bound)
    return body
}
