/// A model of a known shape with seeded random weights: for measuring time, where what it says does not matter.
public enum RandomModel: String, CaseIterable, Sendable {
    case robertaBase = "roberta-base"
    case miniLM = "minilm-l6"

    package var config: ModelConfig {
        let (type, layers, hidden, vocabulary, positions): (String, Int, Int, Int, Int) =
            switch self {
            case .robertaBase: ("roberta", 12, 768, 50_265, 514)
            case .miniLM: ("bert", 6, 384, 30_522, 512)
            }
        let json: JSONValue = [
            "model_type": .string(type), "num_hidden_layers": .integer(layers),
            "hidden_size": .integer(hidden), "intermediate_size": .integer(4 * hidden), "num_attention_heads": 12,
            "vocab_size": .integer(vocabulary),
            "max_position_embeddings": .integer(positions), "type_vocab_size": .integer(self == .miniLM ? 2 : 1),
            "layer_norm_eps": .number(1e-5), "hidden_act": "gelu", "num_labels": 3,
        ]
        do { return try ModelConfig(json) } catch { preconditionFailure("\(error)") }
    }

    /// Whatever tensors the architecture asks for.
    package func checkpoint(seed: UInt64 = 1) -> Checkpoint { Checkpoint(random: rawValue, seed: seed) }
}

/// F32 tensors as training starts with them: uniform with BERT's initial deviation of 0.02, layer norms' weights 1.
struct RandomWeights {
    let seed: UInt64

    func tensor(_ name: String, shape: [Int]) throws(InputError) -> StoredTensor {
        // Vectors are biases and the parts of layer norms.
        let isScale = shape.count == 1 && name.hasSuffix(".weight")
        var random = SplitMix64(state: seed ^ TokenTable.hash(name.utf8))
        let count = shape.reduce(1, *)
        let file = try MappedFile(named: name, byteCount: MemoryLayout<Float>.size * count) { memory in
            for index in 0..<count {
                // Uniform within ±√3 · 0.02.
                let value = isScale ? 1 : Float(Int32(truncatingIfNeeded: random.next() >> 32)) * (0.0346 * 0x1p-31)
                memory.storeBytes(of: value, toByteOffset: 4 * index, as: Float.self)
            }
        }
        return StoredTensor(type: .f32, shape: shape, bytes: file.bytes, file: file)
    }
}
