/// Who computes the matrix products.
public enum Backend: String, CaseIterable, Sendable {
    /// Apus' kernels: the same bits on every machine.
    case simd
    /// OpenBLAS, f32 only: a baseline, and the way out for a CPU that has no kernel.
    case openblas
}
