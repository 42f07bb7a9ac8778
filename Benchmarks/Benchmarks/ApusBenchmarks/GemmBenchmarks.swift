import Benchmark
import COpenBLAS
import Engine
import Kernels

/// The products with weights of the two models' encoder layers.
private let shapes: [(model: String, inputs: Int, outputs: Int)] = [
    ("MiniLM", 384, 1152), ("MiniLM", 384, 384), ("MiniLM", 384, 1536), ("MiniLM", 1536, 384),
    ("RoBERTa-base", 768, 2304), ("RoBERTa-base", 768, 768), ("RoBERTa-base", 768, 3072), ("RoBERTa-base", 3072, 768),
]

/// Each shape on the best instruction set; one shape on every other one. OpenBLAS packs both matrices in each call; our
/// weights are packed when a model is loaded.
func gemmBenchmarks() {
    for shape in shapes {
        for rows in [1, 8, 32, 128] {
            for row in KernelRow.supported {
                let isBest = row.isa == KernelRow.selected.isa
                guard isBest || (shape == shapes[0] && rows == 32) else { continue }
                let size = "\(shape.model) \(shape.inputs) to \(shape.outputs), \(rows) \(rows == 1 ? "row" : "rows")"
                // One row of activations is a walk over the weights: memory is measured, which neighbours share.
                let gate = !isBest || (rows >= 8 && (shape.model == "MiniLM" || rows == 32))
                let int8 = "gemm_u8s8_\(row.isa), \(size)"
                measure(int8, [.ofPeak, .nanoseconds], gate: gate) {
                    try int8Product(row, rows, shape.inputs, shape.outputs)
                }
                let f32ISA = String(cString: row.kernels.f32_isa)
                // Rows share f32 products: each once.
                guard isBest || (f32ISA == row.isa && f32ISA != String(cString: KernelRow.selected.kernels.f32_isa))
                else { continue }
                measure("gemm_f32_\(f32ISA), \(size)", [.ofPeak, .ofOpenBLAS, .nanoseconds], gate: gate) {
                    try f32Product(row, rows, shape.inputs, shape.outputs)
                }
            }
        }
    }
}

/// Memory that lives as long as the closure which uses it.
final class Buffer<Value: BitwiseCopyable> {
    let base: UnsafeMutablePointer<Value>
    let count: Int

    init(_ values: [Value]) {
        count = values.count
        base = UnsafeMutableRawPointer.allocate(byteCount: max(64, count * MemoryLayout<Value>.stride), alignment: 64)
            .bindMemory(to: Value.self, capacity: count)
        base.initialize(from: values, count: count)
    }

    deinit { UnsafeMutableRawPointer(base).deallocate() }

    var values: [Value] { Array(UnsafeBufferPointer(start: base, count: count)) }
}

/// A share of the outputs, spread over all, that a slow reference is asked for.
private func sampled(_ rows: Int, _ columns: Int) -> [(Int, Int)] {
    let total = rows * columns
    return stride(from: 0, to: total, by: max(1, total / 251)).map { ($0 / columns, $0 % columns) }
}

private func int8Product(_ row: KernelRow, _ rows: Int, _ inner: Int, _ columns: Int) throws -> Sample {
    var random = SplitMix64(state: 1)
    let activations = (0..<rows * inner).map { _ in UInt8.random(in: .min ... .max, using: &random) }
    let weights = (0..<columns * inner).map { _ in Int8.random(in: -127...127, using: &random) }
    let a = Buffer(activations)
    let aScale = Buffer((0..<rows).map { _ in Float.random(in: 0.001...0.1, using: &random) })
    let zero = Buffer((0..<rows).map { _ in Int32.random(in: 0...255, using: &random) })
    let panels = (columns + 63) / 64
    let step = row.kernels.inner_step
    precondition(inner % step == 0)
    let packed = Buffer([Int8](repeating: 0, count: panels * inner * 64))
    let sums = Buffer([Int32](repeating: 0, count: panels * 64))
    let scales = Buffer((0..<panels * 64).map { _ in Float.random(in: 0.001...0.1, using: &random) })
    let bias = Buffer(Suite.random(panels * 64))
    for panel in 0..<panels {
        weights.withUnsafeBufferPointer {
            row.kernels.pack_s8(
                $0.baseAddress! + panel * 64 * inner, inner, min(64, columns - panel * 64), inner,
                packed.base + panel * 64 * inner, sums.base + panel * 64)
        }
    }
    let c = Buffer([Float](repeating: 0, count: rows * columns))
    let gemm = row.kernels.gemm_u8s8!
    let product = {
        var input = apus_rows_u8(values: a.base, stride: inner, scale: aScale.base, zero: zero.base, relative: nil)
        for panel in 0..<panels {
            var b = apus_panel_s8(
                values: packed.base + panel * 64 * inner, sums: sums.base + panel * 64, scales: scales.base + panel * 64)
            var epilogue = apus_epilogue(
                bias: bias.base + panel * 64, residual: nil, residual_stride: 0, gelu: 0, reference: nil)
            gemm(&input, rows, &b, inner, min(64, columns - panel * 64), &epilogue, c.base + panel * 64, columns)
        }
        blackHole(c.base[0])
    }
    product()
    for (r, n) in sampled(rows, columns) {
        let sum = (0..<inner).reduce(0) {
            $0 + (Int(activations[r * inner + $1]) - Int(zero.base[r])) * Int(weights[n * inner + $1])
        }
        let expected = bias.base[n].addingProduct(Float(sum) * aScale.base[r], scales.base[n])
        try expect(c.base[r * columns + n] == expected, "[\(r), \(n)] is \(c.base[r * columns + n]), not \(expected)")
    }
    return compare(
        Repeated(product), with: PeakRate(row.kernels.peak_u8s8), .ofPeak, amount: Double(2 * rows * inner * columns))
}

private func f32Product(_ row: KernelRow, _ rows: Int, _ inner: Int, _ columns: Int) throws -> Sample {
    let a = Buffer(Suite.random(rows * inner, seed: 1))
    let weights = Buffer(Suite.random(columns * inner, seed: 2))
    let panels = (columns + 63) / 64
    let packed = Buffer([Float](repeating: 0, count: panels * inner * 64))
    let bias = Buffer([Float](repeating: 0, count: panels * 64))
    for panel in 0..<panels {
        apus_pack_f32(
            weights.base + panel * 64 * inner, inner, min(64, columns - panel * 64), inner, packed.base + panel * 64 * inner)
    }
    let c = Buffer([Float](repeating: 0, count: rows * columns))
    let theirs = Buffer([Float](repeating: 0, count: rows * columns))
    let gemm = row.kernels.gemm_f32!
    let product = {
        for panel in 0..<panels {
            var epilogue = apus_epilogue(
                bias: bias.base + panel * 64, residual: nil, residual_stride: 0, gelu: 0, reference: nil)
            gemm(
                a.base, inner, rows, packed.base + panel * 64 * inner, inner, min(64, columns - panel * 64), &epilogue,
                c.base + panel * 64, columns)
        }
        blackHole(c.base[0])
    }
    openblas_set_num_threads(1)
    let openBLAS = {
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, blasint(rows), blasint(columns), blasint(inner), 1, a.base,
            blasint(inner),
            weights.base, blasint(inner), 0, theirs.base, blasint(columns))
        blackHole(theirs.base[0])
    }
    product()
    openBLAS()
    for (r, n) in sampled(rows, columns) {
        let expected = (0..<inner).reduce(Float(0)) {
            $0.addingProduct(a.base[r * inner + $1], weights.base[n * inner + $1])
        }
        try expect(c.base[r * columns + n] == expected, "[\(r), \(n)] is \(c.base[r * columns + n]), not \(expected)")
        // Both within n·ε/2·Σ|a·b| of the exact sum, |a·b| ≤ 1.
        let bound = Float(inner * inner) * 0x1p-23
        try expect(abs(theirs.base[r * columns + n] - expected) <= bound, "OpenBLAS differs by more than rounding")
    }
    return compare(
        Repeated(product), with: PeakRate(row.kernels.peak_f32), .ofPeak, amount: Double(2 * rows * inner * columns),
        beside: (Repeated(openBLAS), .ofOpenBLAS))
}
