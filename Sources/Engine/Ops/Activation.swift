/// A function of each number, between two products.
package enum Activation: Sendable {
    case gelu
    /// GELU by its approximation with tanh.
    case geluTanh
    case relu
    case silu
    case tanh

    /// - Parameter name: what Transformers calls it (`ACT2FN`); nil for one that is not known.
    package init?(named name: String) {
        switch name {
        case "gelu", "gelu_python": self = .gelu
        case "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_python_tanh": self = .geluTanh
        case "relu": self = .relu
        case "silu", "swish": self = .silu
        case "tanh": self = .tanh
        default: return nil
        }
    }

    /// The names that are known.
    package static let names = ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "tanh"]
}
