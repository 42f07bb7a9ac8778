import Foundation

/// `config.json`: what a transformer classifier of any architecture has. A value that is not supported is an error that names
/// it.
package struct ModelConfig: Sendable {
    /// The sizes, by the names and with the defaults that the architecture's class has for them.
    package struct Sizes: Sendable {
        let layers: Int
        let heads: Extent
        let hidden: Extent
        let intermediate: Extent
        let vocabulary: Extent
        let positions: Extent
        let layerNormEpsilon: Float
        let activation: Activation
        let padID: Int
        /// nil for an architecture without token types.
        let types: Extent?
    }

    /// What becomes of the logits.
    package enum ScoreFunction: Sendable {
        /// One label of several.
        case softmax
        /// Each label by itself.
        case sigmoid
        /// The numbers as they are: regression.
        case identity
    }

    package let architecture: Architecture
    package let sizes: Sizes
    /// In the order of their numbers.
    package let labels: [String]
    package let labelCount: Extent
    package let scoreFunction: ScoreFunction
    package let textPreparation: TextPreparation?
    package let weightFormat: WeightFormat
    /// Whether in int8 a text's first token is taken relative to that of an empty text.
    package let hasInt8Reference: Bool
    /// What else an architecture has settings for.
    let settings: ConfigSettings
    /// The class that config.json names, where it is one without a classifier.
    let headlessClass: String?
    /// What a log should say of the configuration; nil for nothing.
    let note: String?

    /// Beyond these no model is meant; within them, products fit an Int and scratch fits a machine.
    static let maximumWidth = 1 << 14
    static let maximumPositions = 1 << 14
    static let maximumLayers = 1024
    private static let maximumLabels = 4096
    static let maximumVocabulary = 1 << 24

    package init(directory: String) throws(InputError) {
        try self.init(try JSONFile.read(directory + "/config.json"))
    }

    package init(_ json: JSONValue) throws(InputError) {
        architecture = try Architecture(json)
        settings = ConfigSettings(json)
        sizes = try architecture.model.sizes(settings)
        let (hidden, heads) = (sizes.hidden, sizes.heads)
        guard hidden.value.isMultiple(of: heads.value) else {
            throw InputError(
                "config.json", "\(hidden.setting) \(hidden.value) is not a multiple of \(heads.setting) \(heads.value)")
        }
        try settings.requireFalse("is_decoder", "add_cross_attention", because: "a classifier is an encoder")
        let found = try Self.labels(json)
        labels = found.labels
        labelCount = Extent(labels.count, "id2label")
        let problem = try settings.text(
            "problem_type", oneOf: ["single_label_classification", "multi_label_classification", "regression"],
            default: "single_label_classification")
        scoreFunction =
            switch problem {
            case "regression": .identity
            case "multi_label_classification": .sigmoid
            // As Transformers' pipeline: a softmax of one label would always be 1.
            default: labels.count == 1 ? .sigmoid : .softmax
            }
        textPreparation =
            if let value = json["text_preparation"], !value.isNull {
                try TextPreparation(named: value.string ?? "", by: "config.json (text_preparation)")
            } else {
                nil
            }
        weightFormat = try WeightFormat(settings)
        hasInt8Reference =
            try settings.text("int8_reference", oneOf: ["none", "empty_text"], default: "none") == "empty_text"
        guard !hasInt8Reference || architecture.hasInt8Reference else {
            throw InputError(
                "config.json", "int8_reference \"empty_text\" is not supported for \(architecture.rawValue); supported: none"
            )
        }
        let classes = json["architectures"]?.array?.compactMap(\.string) ?? []
        headlessClass = classes.first { !$0.hasSuffix("ForSequenceClassification") }
        // Said of those that load: whatever it is called, all tensors of a classifier are there then.
        let otherTask = headlessClass.flatMap { $0.contains("For") ? $0 : nil }.map { [architecture] in
            "config.json says \($0), but the weights are those of \(architecture.rawValue)"
        }
        let notes = [found.note, otherTask].compactMap(\.self)
        note = notes.isEmpty ? nil : notes.joined(separator: "; ")
        guard maximumTokens >= 1 else {
            throw InputError(
                "config.json", "\(sizes.positions.setting) \(sizes.positions.value) leaves no position for a token")
        }
    }

    package var layers: Int { sizes.layers }
    package var heads: Int { sizes.heads.value }
    package var hidden: Extent { sizes.hidden }
    package var intermediate: Extent { sizes.intermediate }
    package var vocabulary: Extent { sizes.vocabulary }
    package var positions: Extent { sizes.positions }

    /// What is added to the positions of tokens of type 1; 0 where types make no difference.
    var secondTypeOffset: Int { (sizes.types?.value ?? 0) > 1 ? positions.value : 0 }

    /// The most tokens of one text, special tokens included.
    package var maximumTokens: Int { architecture.model.maximumTokens(self) }

    /// `id2label`, as Transformers reads it: LABEL_0, LABEL_1 where it is missing; numbers are names, too.
    private static func labels(_ json: JSONValue) throws(InputError) -> (labels: [String], note: String?) {
        guard let mapping = json["id2label"], !mapping.isNull else {
            let count = json["num_labels"]?.integer ?? 2
            guard 1...maximumLabels ~= count else {
                throw InputError("config.json", "num_labels \(count) is not supported; supported: 1 to \(maximumLabels)")
            }
            return ((0..<count).map { "LABEL_\($0)" }, nil)
        }
        let members = mapping.object ?? []
        var labels = [String?](repeating: nil, count: members.count)
        for member in members {
            guard let id = Int(member.name), labels.indices.contains(id), let label = name(member.value) else {
                throw InputError("config.json", "id2label must map \"0\", \"1\", … to names, without gaps")
            }
            labels[id] = label
        }
        let complete = labels.compactMap(\.self)
        guard complete.count == labels.count, 1...maximumLabels ~= complete.count else {
            throw InputError("config.json", "id2label must map \"0\", \"1\", … to 1 to \(maximumLabels) names")
        }
        return distinct(complete)
    }

    private static func name(_ value: JSONValue) -> String? {
        value.string ?? (value.double == nil ? nil : String(decoding: value.serialized(), as: UTF8.self))
    }

    /// Answers list scores by label: of two with the same name each gets its number.
    private static func distinct(_ labels: [String]) -> (labels: [String], note: String?) {
        let shared = Dictionary(grouping: labels) { $0 }.filter { $0.value.count > 1 }
        guard !shared.isEmpty else { return (labels, nil) }
        let told = labels.enumerated().map { shared[$1] == nil ? $1 : "\($1)#\($0)" }
        guard Set(told).count == told.count else { return distinct(told) }
        let names = shared.keys.sorted().listed
        return (
            told, "config.json, id2label has the same name for several labels (\(names)): they are told apart by their ids"
        )
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
