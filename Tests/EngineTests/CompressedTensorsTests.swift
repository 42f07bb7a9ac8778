import Engine
import Foundation
import Testing

/// The format of compressed-tensors: what it may say, what is refused, and that all ways to say the same give the same bits.
@Suite struct CompressedTensorsTests {
    private static let fixture = "bert-compressed"
    private static let query = "bert.encoder.layer.1.attention.self.query"
    private static let linear = ["config_groups", "linear"]

    // MARK: - Ways to say the same

    private static let same: [(String, [([String], JSONValue?)])] = [
        ("an older name of the format", [(["format"], "naive-quantized")]),
        ("formats of the groups alone", [(["format"], "mixed-precision")]),
        ("no formats", [(["format"], nil), (linear + ["format"], nil), (["config_groups", "embedding", "format"], nil)]),
        ("a status of older versions", [(["quantization_status"], "frozen")]),
        ("no activations", [(linear + ["input_activations"], nil)]),
        ("symmetric activations", [(linear + ["input_activations", "symmetric"], true)]),
        ("groups of one row", [(linear + ["weights", "strategy"], nil), (linear + ["weights", "group_size"], -1)]),
        (
            "all that llm-compressor writes",
            [
                (["global_compression_ratio"], nil), (["kv_cache_scheme"], .null), (["sparsity_config"], [:]),
                (["transform_config"], [:]), (["version"], "0.20.0"), (linear + ["output_activations"], .null),
                (linear + ["weights", "actorder"], .null), (linear + ["weights", "block_structure"], .null),
                (linear + ["weights", "group_size"], .null), (linear + ["weights", "observer"], "minmax"),
                (linear + ["weights", "observer_kwargs"], [:]), (linear + ["input_activations", "observer"], .null),
            ]
        ),
        (
            "no sparsity, as older versions say it",
            [(["sparsity_config"], ["format": "dense", "sparsity_structure": "0:0"])]
        ),
        ("the names of layers", [(linear + ["targets"], .array(layers.map(JSONValue.string)))]),
        ("a pattern", [(linear + ["targets"], [#"re:.*(encoder\.layer\.\d+\..*|pooler\.dense)$"#])]),
        ("a pattern of the start", [(linear + ["targets"], ["re:^bert", "re:nothing"])]),
        ("a pattern that ignores", [(["ignore"], ["re:class.*"])]),
        ("a pattern that ignores by what does not come", [(["ignore"], [#"re:^(?!bert\.).*"#])]),
    ]

    /// Of the linear layers in int8.
    private static let layers =
        (0..<2).flatMap { layer in
            [
                "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
                "intermediate.dense", "output.dense",
            ]
            .map { "bert.encoder.layer.\(layer).\($0)" }
        } + ["bert.pooler.dense"]

    private func logits(_ directory: String, _ precision: Precision = .int8) throws -> [[Float]] {
        let session = try Classifier(model: directory, options: .init(precision: precision)).session
        return session.logits([Encoding(ids: [2, 9, 30, 4, 77, 8, 3]), Encoding(ids: [2, 3])])
    }

    @Test(arguments: same)
    func `the same weights give the same bits, however config.json says it`(
        _ name: String, _ changes: [([String], JSONValue?)]
    ) throws {
        let directory = try TemporaryDirectory(model: Self.fixture)
        for (path, value) in changes { try directory.setQuantization(path, value) }
        for precision in Precision.allCases {
            #expect(try logits(directory.path, precision) == logits(Fixtures.model(Self.fixture), precision), "\(name)")
        }
    }

    @Test func `Apus' first format has the same tensors, and the same bits`() throws {
        let directory = try TemporaryDirectory(model: Self.fixture)
        try directory.setConfig("quantization_config", ["quant_method": "apus", "format_version": 1])
        #expect(try logits(directory.path) == logits(Fixtures.model(Self.fixture)))
    }

    @Test(arguments: [ElementType.bf16, .f16])
    func `scales of two bytes mean what they say`(_ type: ElementType) throws {
        let short = try TemporaryDirectory(model: Self.fixture)
        let rounded = try TemporaryDirectory(model: Self.fixture)
        let name = Self.query + ".weight_scale"
        func halves(_ tensor: EditedTensor) -> [UInt16] {
            tensor.floats.map { UInt16(truncatingIfNeeded: type == .bf16 ? $0.bitPattern >> 16 : Self.half($0)) }
        }
        try short.editTensors { $0[name] = EditedTensor(type, $0[name]!.shape, halves($0[name]!)) }
        try rounded.editTensors { tensors in
            let values = halves(tensors[name]!).map { half in
                type == .bf16 ? Float(bitPattern: UInt32(half) << 16) : StoredMatrix.halfToFloat(half)
            }
            tensors[name] = EditedTensor(.f32, tensors[name]!.shape, values)
        }
        for precision in Precision.allCases {
            let found = try logits(short.path, precision)
            #expect(try found == logits(rounded.path, precision))
            #expect(try found != logits(Fixtures.model(Self.fixture), precision), "the rounding counts")
        }
    }

    /// A normal f16, cut off.
    private static func half(_ value: Float) -> UInt32 { (value.bitPattern >> 13) - (112 << 10) }

    @Test(arguments: [[1], [], [1, 1]])
    func `one scale for a matrix is one a row that is the same for all`(_ shape: [Int]) throws {
        let one = try TemporaryDirectory(model: Self.fixture)
        let each = try TemporaryDirectory(model: Self.fixture)
        try one.setQuantization(Self.linear + ["weights", "strategy"], "tensor")
        func scale(_ name: String) -> Float { name.contains(".1.") ? 0.003 : 0.002 }
        let names = Self.layers.map { $0 + ".weight_scale" }
        try one.editTensors { for name in names { $0[name] = EditedTensor(.f32, shape, [scale(name)]) } }
        try each.editTensors { tensors in
            for name in names {
                let rows = tensors[name]!.shape[0]
                tensors[name] = EditedTensor(.f32, [rows], [Float](repeating: scale(name), count: rows))
            }
        }
        for precision in Precision.allCases { #expect(try logits(one.path, precision) == logits(each.path, precision)) }
    }

    @Test func `zero points that are zero may stand there`() throws {
        let directory = try TemporaryDirectory(model: Self.fixture)
        try directory.editTensors { tensors in
            for layer in Self.layers {
                let shape = tensors[layer + ".weight_scale"]!.shape
                tensors[layer + ".weight_zero_point"] = EditedTensor(.i8, shape, [Int8](repeating: 0, count: shape[0]))
            }
        }
        #expect(try logits(directory.path) == logits(Fixtures.model(Self.fixture)))
    }

    @Test(arguments: [ElementType.f32, .bf16])
    func `a layer that is ignored may have any float type`(_ type: ElementType) throws {
        let directory = try TemporaryDirectory(model: Self.fixture)
        try directory.setQuantization(["ignore"], ["classifier", .string(Self.query)])
        try directory.editTensors { tensors in
            let shape = tensors[Self.query + ".weight"]!.shape
            let count = shape.reduce(1, *)
            tensors[Self.query + ".weight_scale"] = nil
            tensors[Self.query + ".weight"] =
                type == .f32
                ? EditedTensor(type, shape, [Float](repeating: 0.25, count: count))
                : EditedTensor(type, shape, [UInt16](repeating: 0x3E80, count: count))
        }
        #expect(try logits(directory.path)[0].allSatisfy(\.isFinite))
    }

    @Test func `what apus quantize writes is read, and names the layers that stay`() throws {
        for (name, ignored) in [
            ("bert-tiny", ["bert.embeddings.token_type_embeddings", "classifier"]),
            ("mpnet-tiny", ["classifier.out_proj", "mpnet.encoder.relative_attention_bias"]),
            ("deberta-tiny", ["classifier", "deberta.encoder.rel_embeddings"]), ("modernbert-tiny", ["classifier"]),
            ("roberta-bf16", ["classifier.out_proj", "roberta.embeddings.token_type_embeddings"]),
        ] {
            let folder = try TemporaryDirectory()
            _ = try Quantization(try ModelDirectory(path: Fixtures.model(name)), to: folder.path + "/int8")
            let config = try JSONValue(parsing: folder.read("int8/config.json"))
            #expect(config["quantization_config"]?["quant_method"] == "compressed-tensors")
            #expect(config["quantization_config"]?["ignore"]?.array?.compactMap(\.string) == ignored)
            #expect(config["dtype"] == "float32", "what is not int8 is F32 now, and Transformers must not round the scales")
            #expect(try logits(folder.path + "/int8").count == 2)
        }
    }

    // MARK: - What is refused

    private static let refused: [([String], JSONValue?, String)] = [
        (
            ["quant_method"], "gptq",
            "quantization_config gptq is not supported; supported: compressed-tensors, and apus with"
        ),
        (["quant_method"], "awq", "quantization_config awq is not"),
        (["quant_method"], "torchao", "quantization_config torchao"),
        (["quant_method"], "bitsandbytes", "quantization_config bitsandbytes is not supported"),
        (["quant_method"], "quanto", "quantization_config quanto"), (["quant_method"], nil, "without a quant_method"),
        (["quant_method"], 3, "without a quant_method"), (["quant_method"], "apus", "apus is not supported"),
        (
            ["format"], "pack-quantized",
            "format \"pack-quantized\" is not supported; supported: int-quantized, naive-quantized"
        ),
        (["format"], "float-quantized", "format \"float-quantized\""), (["format"], "marlin-24", "format \"marlin-24\""),
        (["format"], "nvfp4-pack-quantized", "format \"nvfp4-pack-quantized\""), (["format"], 1, "format 1 is not"),
        (linear + ["format"], "pack-quantized", "config_groups.linear.format \"pack-quantized\" is not supported"),
        (["kv_cache_scheme"], ["num_bits": 8], "kv_cache_scheme is not supported"),
        (["transform_config"], ["config_groups": [:]], "transform_config is not supported"),
        (["sparsity_config"], ["format": "sparse-24-bitmask"], "sparsity_config.format \"sparse-24-bitmask\""),
        (["config_groups"], [:], "config_groups must name targets"),
        (["config_groups"], nil, "config_groups must name targets"),
        (["config_groups"], [1], "config_groups must be an object"), (linear, ["Linear"], "config_groups.linear must be an"),
        (linear + ["targets"], "Linear", "targets must be a list of names"),
        (linear + ["weights"], nil, "weights are missing"),
        (linear + ["weights", "num_bits"], 4, "linear.weights.num_bits 4 is not supported; supported: 8"),
        (linear + ["weights", "type"], "float", "linear.weights.type \"float\" is not supported; supported: \"int\""),
        (linear + ["weights", "symmetric"], false, "linear.weights.symmetric false is not supported; supported: true"),
        (linear + ["weights", "dynamic"], true, "linear.weights.dynamic true"),
        (
            linear + ["weights", "strategy"], "group",
            "weights.strategy \"group\" is not supported; supported: channel, tensor"
        ),
        (linear + ["weights", "strategy"], "block", "weights.strategy \"block\""),
        (
            linear + ["input_activations", "dynamic"], false,
            "input_activations.dynamic false is not supported; supported: true"
        ),
        (linear + ["input_activations", "dynamic"], nil, "input_activations.dynamic false"),
        (linear + ["input_activations", "dynamic"], "local", "input_activations.dynamic \"local\""),
        (linear + ["input_activations", "strategy"], "tensor", "input_activations.strategy \"tensor\""),
        (linear + ["input_activations", "num_bits"], 4, "input_activations.num_bits 4"),
        (linear + ["input_activations", "type"], "float", "input_activations.type \"float\""),
        (linear + ["output_activations"], ["num_bits": 8], "output_activations is not supported"),
        (["ignore"], "classifier", "ignore must be a list of names"),
        (["ignore"], ["re:("], "the regular expression ( is not"),
        (["ignore"], .array([JSONValue](repeating: "x", count: 10_001)), "layers, over 10000"),
    ]

    @Test(arguments: refused)
    func `what Apus does not compute is refused by its name`(
        _ path: [String], _ value: JSONValue?, _ expected: String
    ) throws {
        let directory = try TemporaryDirectory(model: Self.fixture)
        try directory.setQuantization(path, value)
        let message = message { _ = try Classifier(model: directory.path) }
        #expect(message.hasPrefix("config.json") && message.contains(expected), "\(message)")
        #expect(!message.contains("\n"))
    }

    @Test func `weights without a strategy whose groups are less than a row are refused`() throws {
        let directory = try TemporaryDirectory(model: Self.fixture)
        try directory.setQuantization(Self.linear + ["weights", "strategy"], nil)
        try directory.setQuantization(Self.linear + ["weights", "group_size"], 128)
        #expect(
            message { _ = try Classifier(model: directory.path) }
                == "config.json: quantization_config.config_groups.linear.weights.group_size 128 is not supported; "
                + "supported: -1, one scale for a row. Use the model's unquantized weights; apus quantize makes int8 of them"
        )
    }

    @Test func `a pattern that takes exponential time elsewhere does not here`() throws {
        let directory = try TemporaryDirectory(model: Self.fixture)
        try directory.setQuantization(["ignore"], ["classifier", #"re:((([a-z._0-9]+)+)+)+!"#])
        #expect(try logits(directory.path) == logits(Fixtures.model(Self.fixture)))
    }

    private func refusal(_ change: (inout [String: EditedTensor]) -> Void) throws -> String {
        let directory = try TemporaryDirectory(model: Self.fixture)
        try directory.editTensors(change)
        let message = message { _ = try Classifier(model: directory.path) }
        #expect(message.hasPrefix("model.safetensors: ") && !message.contains("\n"), "\(message)")
        return message
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity, -0.01, 0, -0.0])
    func `a scale that is no number above 0 is refused with its place`(_ value: Float) throws {
        for layer in [Self.query, "bert.embeddings.word_embeddings"] {
            let name = layer + ".weight_scale"
            let found = try refusal { tensors in
                var scales = tensors[name]!.floats
                scales[7] = value
                tensors[name] = EditedTensor(.f32, [scales.count, 1], scales)
            }
            #expect(found.contains("\"\(name)\" holds \(value) in place 7; a scale is a finite number above 0"), "\(found)")
        }
    }

    @Test(arguments: [[35], [1], [36, 2], [1, 36], [], [37, 1], [36, 1, 1]])
    func `scales of another shape are refused`(_ shape: [Int]) throws {
        let name = Self.query + ".weight_scale"
        let found = try refusal {
            $0[name] = EditedTensor(.f32, shape, [Float](repeating: 1, count: shape.reduce(1, *)))
        }
        #expect(
            found.contains("\"\(name)\" has shape \(shape); the I8 tensor that it belongs to needs [36, 1] or [36]"),
            "\(found)")
    }

    @Test func `scales for rows where there should be one for all are refused`() throws {
        let directory = try TemporaryDirectory(model: Self.fixture)
        try directory.setQuantization(Self.linear + ["weights", "strategy"], "tensor")
        #expect(message { _ = try Classifier(model: directory.path) }.contains("needs [1] or [] or [1, 1]"))
    }

    @Test func `what the tensors say against config.json is refused`() throws {
        let (weight, scale) = (Self.query + ".weight", Self.query + ".weight_scale")
        #expect(try refusal { $0[scale] = nil }.contains("has no tensor \"\(scale)\""))
        #expect(
            try refusal { $0[scale] = EditedTensor(.i32, [36, 1], [Int32](repeating: 1, count: 36)) }.contains(
                "\"\(scale)\" has type I32, not F32 or F16 or BF16"))
        #expect(
            try refusal {
                $0[weight] = EditedTensor(.f32, [36, 36], [Float](repeating: 0.1, count: 36 * 36))
                $0[scale] = nil
            }.contains("\"\(weight)\" is not I8, but config.json, quantization_config says that it is"))
        #expect(
            try refusal { $0["classifier.weight"] = EditedTensor(.i8, [3, 36], [Int8](repeating: 1, count: 3 * 36)) }
                .contains(
                    "\"classifier.weight\" is I8, but config.json, quantization_config has it stay as it was"))
        #expect(
            try refusal { $0["bert.pooler.dense.bias"] = EditedTensor(.i8, [36], [Int8](repeating: 1, count: 36)) }.contains(
                "\"bert.pooler.dense.bias\" is I8, but"))
        #expect(
            try refusal {
                $0[Self.query + ".weight_zero_point"] = EditedTensor(.i8, [36, 1], (0..<36).map { Int8($0 / 35) })
            }
            .contains("holds zero points that are not 0: weights that are not symmetric are not supported"))
        #expect(
            try refusal { $0[Self.query + ".input_scale"] = EditedTensor(.f32, [1], [Float(1)]) }.contains(
                "\"\(Self.query).input_scale\" is not one of this architecture's"))
        #expect(try refusal { $0[weight]!.shape = [36 * 36] }.contains("\"\(weight)\" has shape [1296]; config.json"))
    }

    @Test func `int8 without a quantization_config is refused`() throws {
        let directory = try TemporaryDirectory(model: Self.fixture)
        for value in [nil, JSONValue.null] {
            try directory.setConfig("quantization_config", value)
            #expect(
                message { _ = try Classifier(model: directory.path) }.contains(
                    "is I8, but config.json has no quantization_config"))
        }
    }
}

/// A tensor in memory, to be changed and written.
private struct EditedTensor {
    let type: ElementType
    var shape: [Int]
    let bytes: [UInt8]

    init<Number>(_ type: ElementType, _ shape: [Int], _ numbers: [Number]) {
        self.type = type
        self.shape = shape
        bytes = numbers.withUnsafeBytes { Array($0) }
    }

    init(_ tensor: StoredTensor) { self.init(tensor.type, tensor.shape, Array(tensor.bytes)) }

    /// Of F32.
    var floats: [Float] {
        bytes.withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        }
    }
}

extension TemporaryDirectory {
    /// Sets what stands at `path` below quantization_config; nil takes it out.
    fileprivate func setQuantization(_ path: [String], _ value: JSONValue?) throws {
        func changed(_ object: JSONValue?, _ path: ArraySlice<String>) -> JSONValue? {
            guard let name = path.first else { return value }
            let members = object?.object ?? []
            let new = changed(object?[name], path.dropFirst())
            return .object(members.filter { $0.name != name } + (new.map { [.init(name, $0)] } ?? []))
        }
        let config = try JSONValue(parsing: read("config.json"))
        try setConfig("quantization_config", changed(config["quantization_config"], path[...]))
    }

    /// Changes the tensors of model.safetensors.
    fileprivate func editTensors(_ change: (inout [String: EditedTensor]) -> Void) throws {
        var tensors = try Checkpoint.readSafetensors(path: path + "/model.safetensors").tensors.mapValues(EditedTensor.init)
        change(&tensors)
        var header: [JSONValue.Member] = []
        var data: [UInt8] = []
        for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
            let end = data.count + tensor.bytes.count
            let entry: JSONValue = [
                "dtype": .string(tensor.type.rawValue), "shape": .array(tensor.shape.map(JSONValue.integer)),
                "data_offsets": [.integer(data.count), .integer(end)],
            ]
            header.append(.init(name, entry))
            data += tensor.bytes
        }
        let text = JSONValue.object(header).serialized()
        try write(withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init) + text + data, to: "model.safetensors")
    }
}
