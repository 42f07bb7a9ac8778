/// What a checkpoint calls the tensors that an architecture names: libraries and their versions put something before the names,
/// or leave it out, and an old one called a layer norm's weight and bias gamma and beta.
struct TensorNames {
    /// By the canonical name.
    private var stored: [String: String] = [:]
    /// What every name in the checkpoint begins with.
    private let wrapper: String
    private let prefix: String
    /// Whether the checkpoint is of the model below the head, whose names lack `prefix`.
    private let lacksPrefix: Bool

    /// PyTorch's DataParallel, and modules that hold the model as a member.
    private static let wrappers = ["module.", "model."]

    /// What other heads' tensors are called that pretraining leaves in a checkpoint.
    private static let pretrainingHeads = [
        "cls.", "lm_head.", "lm_predictions.", "mask_predictions.", "predictions.", "sop_classifier.", "vocab_transform.",
        "vocab_layer_norm.", "vocab_projector.", "discriminator_predictions.", "generator_predictions.",
        "generator_lm_head.",
        "qa_outputs.", "decoder.",
    ]

    /// - Parameter prefix: the architecture's.
    init(_ checkpoint: Checkpoint, prefix: String) throws(InputError) {
        self.prefix = prefix + "."
        let names = checkpoint.tensors.keys
        var wrapper = ""
        while !names.isEmpty,
            let next = Self.wrappers.first(where: { next in names.allSatisfy { $0.hasPrefix(wrapper + next) } })
        {
            wrapper += next
        }
        self.wrapper = wrapper
        lacksPrefix = !names.isEmpty && !names.contains { $0.hasPrefix(wrapper + prefix + ".") }
        for name in names {
            if let other = stored.updateValue(name, forKey: canonical(name)) {
                throw InputError(checkpoint.name, "tensors \"\(other)\" and \"\(name)\" are two of one and the same")
            }
        }
    }

    /// The checkpoint's name for `name`; `name` itself where it has none.
    func stored(_ name: String) -> String {
        if let found = stored[name] { return found }
        guard lacksPrefix, name.hasPrefix(prefix) else { return name }
        return stored[String(name.dropFirst(prefix.count))] ?? name
    }

    /// A checkpoint's name as the architecture has it, but for a missing prefix.
    func canonical(_ name: String) -> String {
        var canonical = String(name.dropFirst(wrapper.count))
        for (old, new) in [("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")]
        where canonical.hasSuffix(old) {
            canonical = canonical.dropLast(old.count) + new
        }
        return canonical
    }

    /// What the name of another head's tensor begins with; nil for any other.
    static func pretrainingHead(_ name: String) -> String? {
        pretrainingHeads.first { name.hasPrefix($0) }.map { String($0.dropLast()) }
    }
}
