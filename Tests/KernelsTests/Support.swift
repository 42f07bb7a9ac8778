import Foundation
import Kernels
import Testing

/// A row of the kernels' table; tests run once for each that the host has.
struct KernelRow: CustomTestStringConvertible, Sendable {
    let index: Int
    var kernels: apus_kernels { apus_isa_kernels(index).pointee }
    var isSupported: Bool { apus_isa_runs(index, apus_cpu_features()) != 0 && apus_isa_kernels(index) != nil }
    var testDescription: String { String(cString: apus_isa_name(index)) }

    /// Of every architecture.
    static let all = (0..<apus_isa_count()).map { KernelRow(index: Int($0)) }
    static let built = all.filter { apus_isa_kernels($0.index) != nil }
    static let supported = all.filter(\.isSupported)

    /// The steps of a product of `inner`.
    func steps(_ inner: Int) -> Int { (inner + kernels.inner_step - 1) / kernels.inner_step * kernels.inner_step }
}

extension Trait where Self == ConditionTrait {
    /// The test is reported as skipped on a CPU, or in a build, without the instruction set.
    static func needs(_ isa: String) -> Self {
        .enabled(if: KernelRow.supported.contains { $0.testDescription == isa }, "this CPU does not have \(isa)")
    }
}

/// Memory with a canary on either side; under a sanitizer without one behind it, so that reading past the end shows too.
final class Guarded<Value: BitwiseCopyable & Equatable> {
    private let margin = 96
    #if SANITIZED
        private static var tail: Int { 0 }
    #else
        private static var tail: Int { 192 }
    #endif
    private let canary: Value
    private let storage: UnsafeMutablePointer<Value>
    private let capacity: Int
    let count: Int
    let base: UnsafeMutablePointer<Value>

    /// `offset` moves the start off its alignment.
    init(_ values: [Value], offset: Int = 0, canary: Value) {
        self.canary = canary
        count = values.count
        capacity = margin + offset + count + Self.tail
        storage = .allocate(capacity: capacity)
        storage.initialize(repeating: canary, count: capacity)
        base = storage + margin + offset
        for (index, value) in values.enumerated() { base[index] = value }
    }

    var values: [Value] { Array(UnsafeBufferPointer(start: base, count: count)) }
    var isIntact: Bool {
        (storage..<base).allSatisfy { $0.pointee == canary }
            && (base + count..<storage + capacity).allSatisfy { $0.pointee == canary }
    }

    deinit { storage.deallocate() }
}

extension Guarded<Float> {
    convenience init(_ values: [Float], offset: Int = 0) { self.init(values, offset: offset, canary: -1234.5) }
}

/// The same numbers for the same seed.
struct Random: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: Int) { state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 }

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (state >> 32) | (state << 32)
    }
}

func random(_ count: Int, _ scale: Float = 2, seed: Int = 1) -> [Float] {
    var generator = Random(seed &+ count)
    return (0..<count).map { _ in Float.random(in: -scale...scale, using: &generator) }
}

/// Every count from 0 past two vectors, and some far beyond.
let counts = Array(0...35) + [64, 100, 384, 768, 1001]

/// Every number of rows in a tile and past it, to where tiles no longer share a piece of the panel.
let rowCounts = Array(0...26) + [37, 64]

/// Quantized rows with canaries around each of their parts.
final class GuardedRows {
    let values: Guarded<UInt8>
    let scale: Guarded<Float>
    let zero: Guarded<Int32>
    let stride: Int

    init(_ values: [UInt8], stride: Int, scale: [Float], zero: [Int32]) {
        self.values = Guarded(values, offset: 1, canary: 0xA5)
        self.scale = Guarded(scale)
        self.zero = Guarded(zero, canary: -77)
        self.stride = stride
    }

    convenience init(rows: Int, stride: Int) {
        self.init(
            [UInt8](repeating: 0x5A, count: rows * stride), stride: stride, scale: [Float](repeating: -1, count: rows),
            zero: [Int32](repeating: -1, count: rows))
    }

    var kernelRows: apus_rows_u8 {
        apus_rows_u8(values: values.base, stride: stride, scale: scale.base, zero: zero.base, relative: nil)
    }
    var isIntact: Bool { values.isIntact && scale.isIntact && zero.isIntact }
}

/// y as an epilogue leaves it, by its definition.
func finished(_ y: Float, gelu: Bool, residual: Float?, _ kernels: apus_kernels) -> Float {
    var y = y
    if gelu { kernels.gelu_f32(&y, 1) }
    return residual.map { y + $0 } ?? y
}
