/// A model of a known shape with seeded random weights: for measuring time, where what it says does not matter.
public enum RandomModel: String, CaseIterable, Sendable {
    case robertaBase = "roberta-base"
    case miniLM = "minilm-l6"

    package var config: ModelConfig {
        let (architecture, layers, hidden, vocabulary, positions): (String, Int, Int, Int, Int) =
            switch self {
            case .robertaBase: ("RobertaForSequenceClassification", 12, 768, 50_265, 514)
            case .miniLM: ("BertForSequenceClassification", 6, 384, 30_522, 512)
            }
        let json: JSONValue = [
            "architectures": [.string(architecture)], "num_hidden_layers": .integer(layers),
            "hidden_size": .integer(hidden), "intermediate_size": .integer(4 * hidden), "num_attention_heads": 12,
            "vocab_size": .integer(vocabulary),
            "max_position_embeddings": .integer(positions), "type_vocab_size": .integer(self == .miniLM ? 2 : 1),
            "layer_norm_eps": .number(1e-5), "hidden_act": "gelu", "num_labels": 3,
        ]
        do { return try ModelConfig(json) } catch { preconditionFailure("\(error)") }
    }

    /// F32 tensors as a checkpoint would have them: uniform with BERT's initial deviation of 0.02, layer norms as they start.
    package func checkpoint(seed: UInt64 = 1) throws(InputError) -> Checkpoint {
        let config = config
        var shapes: [(name: String, shape: [Int])] = []
        func add(_ name: String, _ shape: Int...) { shapes.append((name, shape)) }
        func addLinear(_ name: String, from inputs: Int, to outputs: Int) {
            add("\(name).weight", outputs, inputs)
            add("\(name).bias", outputs)
        }
        func addNorm(_ name: String) {
            add("\(name).LayerNorm.weight", config.hidden.value)
            add("\(name).LayerNorm.bias", config.hidden.value)
        }
        let (hidden, intermediate) = (config.hidden.value, config.intermediate.value)
        let prefix = config.architecture == .roberta ? "roberta" : "bert"
        add("\(prefix).embeddings.word_embeddings.weight", config.vocabulary.value, hidden)
        add("\(prefix).embeddings.position_embeddings.weight", config.positions.value, hidden)
        add("\(prefix).embeddings.token_type_embeddings.weight", config.types.value, hidden)
        addNorm("\(prefix).embeddings")
        for layer in (0..<config.layers).map({ "\(prefix).encoder.layer.\($0)" }) {
            for name in ["self.query", "self.key", "self.value", "output.dense"] {
                addLinear("\(layer).attention.\(name)", from: hidden, to: hidden)
            }
            addNorm("\(layer).attention.output")
            addLinear("\(layer).intermediate.dense", from: hidden, to: intermediate)
            addLinear("\(layer).output.dense", from: intermediate, to: hidden)
            addNorm("\(layer).output")
        }
        let isRoberta = config.architecture == .roberta
        addLinear(isRoberta ? "classifier.dense" : "bert.pooler.dense", from: hidden, to: hidden)
        addLinear(isRoberta ? "classifier.out_proj" : "classifier", from: hidden, to: config.labels.count)

        let counts = shapes.map { $0.shape.reduce(1, *) }
        var random = SplitMix64(state: seed)
        let file = try MappedFile(named: rawValue, byteCount: 4 * counts.reduce(0, +)) { memory in
            var values = memory.bindMemory(to: Float.self)[...]
            for (tensor, count) in zip(shapes, counts) {
                let isScale = tensor.name.hasSuffix("LayerNorm.weight")
                for index in values.prefix(count).indices {
                    // Uniform within ±√3 · 0.02.
                    values[index] = isScale ? 1 : Float(Int32(truncatingIfNeeded: random.next() >> 32)) * (0.0346 * 0x1p-31)
                }
                values = values.dropFirst(count)
            }
        }
        var tensors: [String: StoredTensor] = [:]
        var start = 0
        for (tensor, count) in zip(shapes, counts) {
            tensors[tensor.name] = StoredTensor(
                type: .f32, shape: tensor.shape,
                bytes: UnsafeRawBufferPointer(rebasing: file.bytes[start..<start + 4 * count]),
                file: file)
            start += 4 * count
        }
        return Checkpoint(file: file, tensors: tensors)
    }
}
