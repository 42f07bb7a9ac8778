/// The arithmetic of the matrix products.
public enum Precision: String, CaseIterable, Sendable {
    case f32
    /// Weights by output channel, activations by token, sums exact in int32; everything between the products in f32.
    case int8
}
