/// The format of the library compressed-tensors, which Transformers, vLLM and llm-compressor read and write, as far as Apus
/// computes what it says: matrices in int8, symmetric, with a scale a row or one for all; int8 by token at run time.
///
/// https://github.com/vllm-project/compressed-tensors: `QuantizationConfig` is what stands in config.json.
package struct CompressedTensors: Sendable {
    /// The classes of PyTorch that have a matrix, by which a group may name its layers.
    enum Layer: String {
        case linear = "Linear"
        case embedding = "Embedding"
    }

    enum Scales: Sendable { case perRow, perMatrix }

    /// The most specific first, as the library sorts them: by what they are called, patterns last.
    private let targets: [(target: Target, scales: Scales)]
    private let ignored: [Target]

    /// What the library writes for int8 of this kind, and wrote in older versions.
    private static let formats = ["int-quantized", "naive-quantized"]
    private static let maximumTargets = 10_000

    init(_ settings: ConfigSettings) throws(InputError) {
        _ = try settings.text("format", oneOf: Self.formats + ["mixed-precision"], default: Self.formats[0])
        for name in ["kv_cache_scheme", "transform_config", "moe_sparsity_config"] { try settings.requireNothing(name) }
        // Older versions wrote that there is none.
        if let sparsity = try settings.section("sparsity_config") {
            _ = try sparsity.text("format", oneOf: ["dense"], default: "dense")
        }
        let groups = try settings.section("config_groups")
        var scales: [String: Scales] = [:]
        for member in groups?.json.object ?? [] {
            guard let group = try groups?.section(member.name) else { continue }
            let found = try Self.scales(group)
            for target in try group.strings("targets") ?? [] { scales[target] = found }
        }
        guard !scales.isEmpty else { throw settings.error("config_groups must name targets, and what becomes of them") }
        let ignored = try settings.strings("ignore") ?? []
        guard scales.count + ignored.count <= Self.maximumTargets else {
            throw settings.error(
                "ignore and targets name \(scales.count + ignored.count) layers, over \(Self.maximumTargets)")
        }
        var targets: [(target: Target, scales: Scales)] = []
        for (text, scales) in scales { targets.append((try Target(text), scales)) }
        self.targets = targets.sorted { $0.target < $1.target }
        self.ignored = try ignored.map { text throws(InputError) in try Target(text) }
    }

    /// Of a group's weights; anything that Apus does not compute is an error.
    private static func scales(_ group: ConfigSettings) throws(InputError) -> Scales {
        _ = try group.text("format", oneOf: formats, default: formats[0])
        try group.requireNothing("output_activations")
        if let inputs = try group.section("input_activations") {
            try inputs.require("num_bits", 8, default: 8)
            try inputs.require("type", "int", default: "int")
            // By token over all columns; whether with a zero point is for whoever computes.
            try inputs.require("dynamic", true, default: false)
            try inputs.require("strategy", "token", default: "tensor")
        }
        guard let weights = try group.section("weights") else { throw group.error("weights are missing") }
        try weights.require("num_bits", 8, default: 8)
        try weights.require("type", "int", default: "int")
        try weights.require("symmetric", true, default: true)
        try weights.require("dynamic", false, default: false)
        // Where there is no strategy, the groups' size says which.
        let groupSize = weights.json["group_size"]?.integer
        guard weights.has("strategy") || groupSize == nil || groupSize == -1 else {
            throw weights.error("group_size \(groupSize!) is not supported; supported: -1, one scale for a row")
        }
        let strategy = try weights.text(
            "strategy", oneOf: ["channel", "tensor"], default: groupSize == nil ? "tensor" : "channel")
        return strategy == "channel" ? .perRow : .perMatrix
    }

    /// Of the matrix of a layer, by any of its names; nil where it is stored as training left it.
    func scales(of names: [String], _ layer: Layer) -> Scales? {
        if ignored.contains(where: { $0.matches(names) || $0.text == layer.rawValue }) { return nil }
        let found = targets.first { $0.target.matches(names) } ?? targets.first { $0.target.text == layer.rawValue }
        return found?.scales
    }

    /// A layer's name, a class of layers, or behind `re:` a regular expression that their names begin with.
    private struct Target: Sendable, Comparable {
        let text: String
        private let pattern: Regex?

        init(_ text: String) throws(InputError) {
            self.text = text
            pattern =
                text.hasPrefix("re:")
                ? try Regex(Self.anchored(text.dropFirst("re:".count)), file: "config.json, quantization_config") : nil
        }

        func matches(_ names: [String]) -> Bool {
            guard let pattern else { return names.contains(text) }
            return names.contains { name in
                var begins = false
                var isFirst = true
                Array(name.utf8).withUnsafeBufferPointer { bytes in
                    pattern.forEachMatch(in: bytes) { match in
                        if isFirst { begins = match.lowerBound == 0 }
                        isFirst = false
                    }
                }
                return begins
            }
        }

        /// Python's `^`, `$` and `\Z` as Ruby has them: names are of one line.
        private static func anchored(_ source: Substring) -> String {
            var result = ""
            var isClass = false
            var isEscaped = false
            for character in source {
                switch character {
                case _ where isEscaped:
                    result.append(character == "Z" ? "z" : character)
                    isEscaped = false
                    continue
                case "[": isClass = true
                case "]": isClass = false
                case "\\": isEscaped = true
                case "^" where !isClass:
                    result += "\\A"
                    continue
                case "$" where !isClass:
                    result += "\\z"
                    continue
                default: break
                }
                result.append(character)
            }
            return result
        }

        static func < (one: Target, other: Target) -> Bool {
            (one.pattern == nil ? 0 : 1, one.text) < (other.pattern == nil ? 0 : 1, other.text)
        }

        static func == (one: Target, other: Target) -> Bool { one.text == other.text }
    }
}

extension ConfigSettings {
    /// Refuses any value but one.
    fileprivate func require(_ name: String, _ value: JSONValue, default standard: JSONValue) throws(InputError) {
        let found = has(name) ? json[name]! : standard
        guard found != value else { return }
        throw error("\(name) \(Self.written(found)) is not supported; supported: \(Self.written(value))")
    }

    /// Refuses what Apus would have to compute, and does not.
    fileprivate func requireNothing(_ name: String) throws(InputError) {
        guard has(name), json[name]?.object?.isEmpty != true else { return }
        throw error("\(name) is not supported; supported: none")
    }
}

extension CompressedTensors {
    /// `quantization_config` of what `apus quantize` writes.
    ///
    /// - Parameter ignored: the layers that stay as they are.
    static func written(ignoring ignored: [String]) -> JSONValue {
        let weights: JSONValue = ["num_bits": 8, "type": "int", "symmetric": true, "strategy": "channel", "dynamic": false]
        // With a zero point, as Apus computes them.
        let inputs: JSONValue = ["num_bits": 8, "type": "int", "symmetric": false, "strategy": "token", "dynamic": true]
        let format = JSONValue.string(formats[0])
        return [
            "quant_method": "compressed-tensors", "format": format, "quantization_status": "compressed",
            "config_groups": [
                "linear": [
                    "targets": [.string(Layer.linear.rawValue)], "weights": weights, "input_activations": inputs,
                    "format": format,
                ],
                "embedding": ["targets": [.string(Layer.embedding.rawValue)], "weights": weights, "format": format],
            ],
            "ignore": .array(ignored.map(JSONValue.string)),
        ]
    }
}
