/// The arithmetic of the matrix products.
public enum Precision: String, CaseIterable, Sendable {
    case f32
    /// Weights by output channel, activations by token, sums exact in int32; everything between the products in f32.
    case int8
}

/// Who computes the matrix products.
public enum Backend: String, CaseIterable, Sendable {
    /// Apus' kernels: the same bits on every machine.
    case simd
    /// OpenBLAS, f32 only: a baseline, and the way out for a CPU that has no kernel.
    case openblas
}
