import Foundation

/// `config.json`: the sizes of a BERT-like classifier. A value that is not supported is an error that names it.
package struct ModelConfig: Sendable {
    package enum Architecture: String, CaseIterable, Sendable {
        case roberta = "RobertaForSequenceClassification"
        case bert = "BertForSequenceClassification"
        case distilBert = "DistilBertForSequenceClassification"
        case xlmRoberta = "XLMRobertaForSequenceClassification"
        case camembert = "CamembertForSequenceClassification"
        case electra = "ElectraForSequenceClassification"
        case mpnet = "MPNetForSequenceClassification"
        case modernBert = "ModernBertForSequenceClassification"
        case debertaV2 = "DebertaV2ForSequenceClassification"
        case albert = "AlbertForSequenceClassification"

        var offsetsPositions: Bool { [.roberta, .xlmRoberta, .camembert, .mpnet].contains(self) }
    }

    package let architecture: Architecture
    package let layers: Int
    package let heads: Int
    package let hidden: Extent
    package let intermediate: Extent
    package let vocabulary: Extent
    package let positions: Extent
    package let types: Extent
    /// In the order of their numbers.
    package let labels: [String]
    package let labelCount: Extent
    package let layerNormEpsilon: Float
    package let padID: Int
    package let textPreparation: TextPreparation?
    package let isQuantized: Bool

    /// Beyond these no model is meant; within them, products fit an Int and scratch fits a machine.
    private static let maximumWidth = 1 << 14
    private static let maximumPositions = 1 << 13
    private static let maximumLabels = 4096
    private static let maximumVocabulary = 1 << 24

    package init(directory: String) throws(InputError) {
        try self.init(try JSONFile.read(directory + "/config.json"))
    }

    package init(_ json: JSONValue) throws(InputError) {
        let settings = Settings(json)
        let named = json["architectures"]?.array?.compactMap(\.string) ?? []
        guard let architecture = named.first.flatMap(Architecture.init) else {
            let known = Architecture.allCases.map(\.rawValue).joined(separator: " and ")
            throw InputError(
                "config.json",
                named.isEmpty
                    ? "has no \"architectures\"; supported are \(known)"
                    : "architecture \(named.joined(separator: ", ")) is not supported; supported are \(known)")
        }
        self.architecture = architecture
        hidden = try settings.size("hidden_size", maximum: Self.maximumWidth)
        intermediate = try settings.size("intermediate_size", maximum: 4 * Self.maximumWidth)
        vocabulary = try settings.size("vocab_size", maximum: Self.maximumVocabulary)
        positions = try settings.size("max_position_embeddings", maximum: Self.maximumPositions)
        types = try settings.size("type_vocab_size", maximum: Self.maximumWidth)
        layers = try settings.size("num_hidden_layers", maximum: 1024).value
        heads = try settings.size("num_attention_heads", maximum: Self.maximumWidth).value
        guard hidden.value.isMultiple(of: heads) else {
            throw InputError(
                "config.json", "hidden_size \(hidden.value) is not a multiple of num_attention_heads \(heads)")
        }
        guard let epsilon = json["layer_norm_eps"]?.double, epsilon > 0, epsilon < 1 else {
            throw InputError("config.json", "layer_norm_eps must be a number between 0 and 1")
        }
        layerNormEpsilon = Float(epsilon)
        padID = try settings.padID(default: architecture.offsetsPositions ? 1 : 0, vocabulary: vocabulary.value)
        guard !architecture.offsetsPositions || positions.value > padID + 1 else {
            throw InputError(
                "config.json", "max_position_embeddings \(positions.value) leaves no position after pad_token_id \(padID)")
        }
        try settings.require("hidden_act", oneOf: ["gelu"])
        try settings.require("position_embedding_type", oneOf: ["absolute"], default: "absolute")
        try settings.require(
            "problem_type", oneOf: ["single_label_classification"], default: "single_label_classification")
        for flag in ["is_decoder", "add_cross_attention"] where json[flag]?.bool == true {
            throw InputError("config.json", "\(flag) true is not supported; a classifier is an encoder")
        }
        labels = try settings.labels()
        labelCount = Extent(labels.count, "id2label")
        textPreparation = try settings.textPreparation()
        isQuantized = try settings.isQuantized()
    }

    /// The most tokens of one text, special tokens included.
    package var maximumTokens: Int {
        architecture.offsetsPositions ? positions.value - padID - 1 : positions.value
    }

    /// Typed access, with errors that name the setting.
    private struct Settings {
        let json: JSONValue

        init(_ json: JSONValue) { self.json = json }

        func size(_ name: String, maximum: Int) throws(InputError) -> Extent {
            guard let value = json[name] else { throw InputError("config.json", "has no \"\(name)\"") }
            guard let size = value.integer, 1...maximum ~= size else {
                let found = String(decoding: value.serialized(), as: UTF8.self)
                throw InputError("config.json", "\(name) must be a whole number from 1 to \(maximum), not \(found)")
            }
            return Extent(size, name)
        }

        func padID(default standard: Int, vocabulary: Int) throws(InputError) -> Int {
            guard let value = json["pad_token_id"], !value.isNull else { return standard }
            guard let id = value.integer, 0..<vocabulary ~= id else {
                throw InputError("config.json", "pad_token_id must be an id below vocab_size \(vocabulary)")
            }
            return id
        }

        func textPreparation() throws(InputError) -> TextPreparation? {
            guard let value = json["text_preparation"], !value.isNull else { return nil }
            return try TextPreparation(named: value.string ?? "", by: "config.json (text_preparation)")
        }

        func require(_ name: String, oneOf allowed: [String], default standard: String? = nil) throws(InputError) {
            let value = json[name] ?? .null
            if value.isNull, standard != nil { return }
            guard let found = value.string, allowed.contains(found) else {
                let found = String(decoding: value.serialized(), as: UTF8.self)
                throw InputError(
                    "config.json", "\(name) \(found) is not supported; supported: \(allowed.joined(separator: ", "))")
            }
        }

        /// `id2label`, as Transformers reads it: LABEL_0, LABEL_1 where it is missing.
        func labels() throws(InputError) -> [String] {
            guard let mapping = json["id2label"], !mapping.isNull else {
                let count = json["num_labels"]?.integer ?? 2
                guard 2...ModelConfig.maximumLabels ~= count else {
                    throw InputError(
                        "config.json", "num_labels \(count) is not supported; supported: 2 to \(ModelConfig.maximumLabels)")
                }
                return (0..<count).map { "LABEL_\($0)" }
            }
            let members = mapping.object ?? []
            var labels = [String?](repeating: nil, count: members.count)
            for member in members {
                guard let id = Int(member.name), labels.indices.contains(id), let label = member.value.string else {
                    throw InputError("config.json", "id2label must map \"0\", \"1\", … to names, without gaps")
                }
                labels[id] = label
            }
            let complete = labels.compactMap(\.self)
            guard complete.count == labels.count, 2...ModelConfig.maximumLabels ~= complete.count,
                Set(complete).count == complete.count
            else {
                throw InputError(
                    "config.json", "id2label must map \"0\", \"1\", … to 2 to \(ModelConfig.maximumLabels) different names")
            }
            return complete
        }

        func isQuantized() throws(InputError) -> Bool {
            guard let quantization = json["quantization_config"], !quantization.isNull else { return false }
            let method = quantization["quant_method"]?.string ?? "without a quant_method"
            guard method == "apus", quantization["format_version"]?.integer == 1 else {
                throw InputError(
                    "config.json",
                    "quantization_config \(method) is not supported; supported: apus, format_version 1. "
                        + "Use the model's unquantized weights")
            }
            return true
        }
    }
}

/// Reads the small JSON files of a model directory.
enum JSONFile {
    /// The vocabularies of the largest multilingual models take a tenth of it.
    private static let maximumBytes = 256 << 20

    static func bytes(_ path: String) throws(InputError) -> [UInt8] {
        let file = try MappedFile(path: path)
        guard file.bytes.count <= maximumBytes else {
            throw InputError(file.name, "is \(file.bytes.count) bytes long; at most \(maximumBytes) are read")
        }
        return file.contents()
    }

    static func read(_ path: String) throws(InputError) -> JSONValue {
        let bytes = try bytes(path)
        do {
            return try JSONValue(parsing: bytes)
        } catch {
            throw InputError((path as NSString).lastPathComponent, "is not JSON: \(error)")
        }
    }
}
