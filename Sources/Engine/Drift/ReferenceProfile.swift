/// What a model's predictions looked like on the data it was measured on: `reference_profile.json` of a model directory.
/// A server compares what it predicts with it.
public struct ReferenceProfile: Sendable, Equatable {
    /// What is watched of every prediction.
    public enum Feature: String, Sendable, CaseIterable {
        case label
        /// The best label's probability.
        case confidence
        /// How many tokens the model read.
        case tokens
    }

    public static let fileName = "reference_profile.json"
    private static let formatVersion = 1
    /// So that a bin fits into a byte.
    private static let maximumEdges = 200

    public let dataset: String
    public let split: String
    public let precision: String
    public let labels: [String]
    public let confidenceBins: Bins
    public let tokenBins: Bins
    public let distributions: [Feature: Distribution]

    /// The profile of predictions; at least one.
    public init(of predictions: [Prediction], labels: [String], dataset: String, split: String, precision: String) {
        precondition(!predictions.isEmpty)
        self.labels = labels
        self.dataset = dataset
        self.split = split
        self.precision = precision
        confidenceBins = .deciles(of: predictions.map { Double($0.best.value) })
        tokenBins = .deciles(of: predictions.map { Double($0.tokens) })
        var distributions = Self.empty(labels.count, confidenceBins.count, tokenBins.count)
        for prediction in predictions {
            let bins = Self.bins(of: prediction, confidenceBins, tokenBins)
            for (feature, bin) in zip(Feature.allCases, bins) { distributions[feature]?.counts[bin] += 1 }
        }
        self.distributions = distributions
    }

    /// A prediction's bin of every feature, in the order of `Feature.allCases`.
    public func bins(of prediction: Prediction) -> [Int] { Self.bins(of: prediction, confidenceBins, tokenBins) }

    /// The number of bins of every feature, in the order of `Feature.allCases`.
    public var binCounts: [Int] { Feature.allCases.map { distributions[$0]?.counts.count ?? 0 } }

    private static func bins(of prediction: Prediction, _ confidence: Bins, _ tokens: Bins) -> [Int] {
        [
            prediction.bestIndex, confidence.index(of: Double(prediction.best.value)),
            tokens.index(of: Double(prediction.tokens)),
        ]
    }

    private static func empty(_ counts: Int...) -> [Feature: Distribution] {
        let features = zip(Feature.allCases, counts).map { ($0, Distribution(bins: $1)) }
        return Dictionary(uniqueKeysWithValues: features)
    }
}

// MARK: - The file

extension ReferenceProfile {
    public var json: JSONValue {
        func histogram(_ feature: Feature, _ bins: Bins) -> JSONValue {
            [
                "edges": .array(bins.edges.map(JSONValue.number)),
                "counts": .array((distributions[feature]?.counts ?? []).map(JSONValue.integer)),
            ]
        }
        let labelCounts = distributions[.label]?.counts ?? []
        return [
            "format_version": .integer(Self.formatVersion), "dataset": .string(dataset), "split": .string(split),
            "precision": .string(precision), "texts": .integer(labelCounts.reduce(0, +)),
            "features": [
                "label": .object(zip(labels, labelCounts).map { .init($0, .integer($1)) }),
                "confidence": histogram(.confidence, confidenceBins), "tokens": histogram(.tokens, tokenBins),
            ],
        ]
    }

    /// The profile in a model directory; nil where it has none.
    public init?(directory: ModelDirectory, labels: [String]) throws(InputError) {
        guard let json = try directory.json(Self.fileName, advice: Self.advice) else { return nil }
        do {
            try self.init(json: json, labels: labels)
        } catch {
            throw InputError(directory.file(Self.fileName), "\(error). \(Self.advice)")
        }
    }

    private static let advice =
        "Write it anew with apus evaluate --write-profile, or delete it to serve without drift figures"

    private struct Problem: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    private init(json: JSONValue, labels: [String]) throws {
        guard let version = json["format_version"]?.integer else { throw Problem("has no whole number \"format_version\"") }
        guard version == Self.formatVersion else {
            throw Problem("has format_version \(version); this version of Apus reads \(Self.formatVersion)")
        }
        func text(_ name: String) throws -> String {
            guard let text = json[name]?.string else { throw Problem("has no string \"\(name)\"") }
            return text
        }
        guard let features = json["features"], features.object != nil else { throw Problem("has no object \"features\"") }
        guard let texts = json["texts"]?.integer, 1...1_000_000_000_000 ~= texts else {
            throw Problem("\"texts\" is not a whole number from 1 to 10^12")
        }

        guard let members = features["label"]?.object else { throw Problem("has no object \"features.label\"") }
        guard members.map(\.name) == labels else {
            throw Problem(
                "has the labels \(members.map(\.name).joined(separator: ", ")); "
                    + "the model has \(labels.joined(separator: ", "))")
        }
        self.labels = labels
        dataset = try text("dataset")
        split = try text("split")
        precision = try text("precision")
        let confidence = try Self.histogram(features["confidence"], "features.confidence", texts: texts)
        let tokens = try Self.histogram(features["tokens"], "features.tokens", texts: texts)
        confidenceBins = confidence.bins
        tokenBins = tokens.bins
        distributions = [
            .label: try Self.distribution(.array(members.map(\.value)), "features.label", texts: texts),
            .confidence: confidence.distribution, .tokens: tokens.distribution,
        ]
    }

    private static func histogram(
        _ json: JSONValue?, _ name: String, texts: Int
    ) throws -> (bins: Bins, distribution: Distribution) {
        guard let values = json?["edges"]?.array else { throw Problem("has no array \"\(name).edges\"") }
        let edges = values.compactMap(\.double)
        guard edges.count == values.count, zip(edges, edges.dropFirst()).allSatisfy({ $0 < $1 }) else {
            throw Problem("\"\(name).edges\" are not ascending numbers")
        }
        guard edges.count <= maximumEdges else {
            throw Problem("\"\(name).edges\" are \(edges.count); the limit is \(maximumEdges)")
        }
        let distribution = try distribution(json?["counts"], "\(name).counts", texts: texts)
        guard distribution.counts.count == edges.count + 1 else {
            throw Problem(
                "\"\(name)\" has \(edges.count) edges and \(distribution.counts.count) counts; "
                    + "it needs one count more than edges")
        }
        return (Bins(edges: edges), distribution)
    }

    private static func distribution(_ json: JSONValue?, _ name: String, texts: Int) throws -> Distribution {
        guard let values = json?.array else { throw Problem("has no counts in \"\(name)\"") }
        let counts = values.compactMap(\.integer)
        guard counts.count == values.count, counts.allSatisfy({ 0...texts ~= $0 }), counts.reduce(0, &+) == texts else {
            throw Problem("\"\(name)\" are not whole numbers that add up to \"texts\", which is \(texts)")
        }
        return Distribution(counts: counts)
    }
}
