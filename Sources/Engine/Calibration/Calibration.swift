import Foundation

/// What makes a model's probabilities those that come true: its logits are divided by a temperature, and a label's bias is added,
/// before the softmax or sigmoid (temperature scaling; Guo et al. 2017). `calibration.json` of a model directory.
///
/// ```json
/// {"format_version": 1, "temperature": 1.4, "bias": null, "dataset": "tweets", "split": "val", "examples": 2000,
///  "precision": "int8", "model_digest": "…", "model_parts": {"weights": "…", "config.json": "…"}}
/// ```
/// `bias` is null or an object of the model's labels, in its order; the digest and its parts are those of the model without the
/// calibration (`ModelDigest`), and hold for either precision.
public struct Calibration: Sendable, Equatable {
    public static let fileName = "calibration.json"
    private static let formatVersion = 1
    private static let maximumBytes = 1 << 20
    /// What a file may say; beyond, the probabilities would be all alike or all 0 and 1.
    static let temperatures = 0.01...100.0
    static let biases = -50.0...50.0

    public let temperature: Double
    /// One a label, in the model's order; nil for none.
    public let bias: [Double]?
    public let labels: [String]
    /// What it was fitted on.
    public let dataset: String
    public let split: String
    public let examples: Int
    public let precision: String
    /// Of the model without a calibration.
    public let modelDigest: String
    let modelParts: JSONValue?

    package init(
        temperature: Double, bias: [Double]?, labels: [String], dataset: String, split: String, examples: Int,
        precision: String, model: ModelDigest
    ) {
        self.temperature = temperature
        self.bias = bias
        self.labels = labels
        self.dataset = dataset
        self.split = split
        self.examples = examples
        self.precision = precision
        modelDigest = model.hexadecimal
        modelParts = model.json
    }

    /// The probabilities of a text's logits: in double arithmetic of our own, so that they are the same bits on every machine.
    func probabilities(_ logits: [Float], _ function: ModelConfig.ScoreFunction) -> [Float] {
        Self.probabilities(
            logits.indices.map { Double(logits[$0]) / temperature + (bias?[$0] ?? 0) }, function
        ).map(Float.init)
    }

    package static func probabilities(_ logits: [Double], _ function: ModelConfig.ScoreFunction) -> [Double] {
        switch function {
        case .softmax:
            let largest = logits.max() ?? 0
            let exponentials = logits.map { ReproducibleMath.exp($0 - largest) }
            let sum = exponentials.reduce(0, +)
            return exponentials.map { $0 / sum }
        case .sigmoid:
            return logits.map { logit in
                let exponential = ReproducibleMath.exp(-abs(logit))
                return (logit < 0 ? exponential : 1) / (1 + exponential)
            }
        case .identity: return logits
        }
    }

    /// As it stands in a report and in `GET /status`.
    public var summary: JSONValue {
        [
            "temperature": .number(temperature),
            "bias": bias.map { .object(zip(labels, $0).map { .init($0, .number($1)) }) } ?? nil,
            "dataset": .string(dataset), "split": .string(split), "examples": .integer(examples),
            "precision": .string(precision),
        ]
    }
}

// MARK: - The file

extension Calibration {
    private static let advice = "Fit it anew with apus calibrate, delete it, or leave it out with --raw"

    public var json: JSONValue {
        .object(
            [.init("format_version", .integer(Self.formatVersion))] + (summary.object ?? []) + [
                .init("model_digest", .string(modelDigest)), .init("model_parts", modelParts ?? nil),
            ])
    }

    /// As it stands in the file.
    public var bytes: [UInt8] { json.serialized(pretty: true) + [0x0A] }

    /// The calibration in a model directory, and the SHA-256 of its file; nil where it has none.
    static func read(
        _ directory: ModelDirectory, labels: [String]
    ) throws(InputError) -> (calibration: Calibration, digest: String)? {
        let path = directory.file(fileName)
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let file = try MappedFile(path: path)
        guard file.bytes.count <= maximumBytes else {
            throw InputError(path, "is \(file.bytes.count) bytes long; at most \(maximumBytes) are read. \(advice)")
        }
        let bytes = file.contents()
        let calibration: Calibration
        do {
            calibration = try Calibration(try JSONValue(parsing: bytes), labels: labels)
        } catch let error as JSONError {
            throw InputError(path, "is not JSON: \(error). \(advice)")
        } catch {
            throw InputError(path, "\(error). \(advice)")
        }
        return (calibration, bytes.withUnsafeBytes { $0.sha256() })
    }

    /// Refuses a calibration of another model: it would make probabilities worse without a word.
    func check(_ model: ModelDigest, _ directory: ModelDirectory) throws(InputError) {
        guard modelDigest != model.hexadecimal else { return }
        let changes = model.changes(since: modelParts).map { " (\($0))" } ?? ""
        throw InputError(
            directory.file(Self.fileName),
            "was fitted on another model\(changes): its model_digest is \(modelDigest), this model's is "
                + "\(model.hexadecimal). \(Self.advice)")
    }

    private struct Problem: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    private init(_ json: JSONValue, labels: [String]) throws {
        func text(_ name: String) throws -> String {
            guard let text = json[name]?.string else { throw Problem("has no string \"\(name)\"") }
            return text
        }
        func number(_ value: JSONValue?, _ name: String, _ range: ClosedRange<Double>) throws -> Double {
            guard let value, let number = value.double else { throw Problem("has no number \"\(name)\"") }
            guard range.contains(number) else {
                throw Problem("\"\(name)\" is \(number); it must be from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
        guard let version = json["format_version"]?.integer else { throw Problem("has no whole number \"format_version\"") }
        guard version == Self.formatVersion else {
            throw Problem("has format_version \(version); this version of Apus reads \(Self.formatVersion)")
        }
        temperature = try number(json["temperature"], "temperature", Self.temperatures)
        switch json["bias"] {
        case nil, .null?: bias = nil
        case let value?:
            guard let members = value.object else { throw Problem("\"bias\" is \(value.kind), not an object or null") }
            guard members.map(\.name) == labels else {
                throw Problem(
                    "has a bias for the labels \(members.map(\.name).listed); the model has \(labels.listed), in that order")
            }
            bias = try members.map { try number($0.value, "bias.\($0.name)", Self.biases) }
        }
        guard let examples = json["examples"]?.integer, examples > 0 else {
            throw Problem("has no whole number \"examples\" above 0")
        }
        self.examples = examples
        self.labels = labels
        dataset = try text("dataset")
        split = try text("split")
        precision = try text("precision")
        modelDigest = try text("model_digest")
        modelParts = json["model_parts"]
    }
}
