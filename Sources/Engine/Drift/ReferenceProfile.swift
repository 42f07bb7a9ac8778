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
        /// Which share of them its vocabulary lacks.
        case unknownTokens = "unknown_tokens"
        /// How many emoji the text has.
        case emoji
        /// The script of the text's letters.
        case script
    }

    public static let fileName = "reference_profile.json"
    /// The first had label, confidence and tokens alone; such files are read.
    private static let formatVersion = 2
    /// So that a bin fits into a byte.
    private static let maximumEdges = 200

    public let dataset: String
    public let split: String
    public let precision: String
    public let labels: [String]
    /// Of the features that are numbers.
    public let bins: [Feature: Bins]
    /// Of the features that the profile has: an older one lacks some, and a tokenizer that knows all lacks unknown tokens.
    public let distributions: [Feature: Distribution]
    /// nil in older ones.
    public let tokenCounts: TokenCounts?
    /// nil in older ones, and where there were too few texts.
    public let embedding: EmbeddingDistribution?

    /// The profile of predictions, each with its text's traits; at least one.
    ///
    /// - Parameter dimensions: of the predictions' sketches.
    package init(
        of predictions: [Prediction], _ traits: [TextTraits], dimensions: Int, labels: [String], dataset: String,
        split: String, precision: String
    ) {
        precondition(!predictions.isEmpty && predictions.count == traits.count)
        self.labels = labels
        self.dataset = dataset
        self.split = split
        self.precision = precision
        var bins: [Feature: Bins] = [
            .confidence: .deciles(of: predictions.map { Double($0.best.value) }),
            .tokens: .deciles(of: predictions.map { Double($0.tokens) }), .emoji: Bins(edges: [1, 2, 4]),
        ]
        if traits[0].unknown != nil { bins[.unknownTokens] = Bins(edges: [0.01, 0.05, 0.1, 0.2]) }
        self.bins = bins
        var distributions = bins.mapValues { Distribution(bins: $0.count) }
        distributions[.label] = Distribution(bins: labels.count)
        distributions[.script] = Distribution(bins: Script.allCases.count)
        for (prediction, traits) in zip(predictions, traits) {
            for (feature, bin) in zip(Feature.allCases, Self.bins(of: prediction, traits, bins)) {
                distributions[feature]?.counts[bin] += 1
            }
        }
        self.distributions = distributions
        tokenCounts = TokenCounts(of: traits.map(\.tokens))
        embedding = EmbeddingDistribution(of: predictions.map(\.sketch), dimensions: dimensions)
    }

    /// A prediction's bin of every feature, in the order of `Feature.allCases`; 0 of one that the profile lacks.
    package func bins(of prediction: Prediction, _ traits: TextTraits) -> [Int] { Self.bins(of: prediction, traits, bins) }

    /// The number of bins of every feature, in the order of `Feature.allCases`; 1 of one that the profile lacks.
    package var binCounts: [Int] { Feature.allCases.map { distributions[$0]?.counts.count ?? 1 } }

    private static func bins(of prediction: Prediction, _ traits: TextTraits, _ bins: [Feature: Bins]) -> [Int] {
        Feature.allCases.map { feature in
            switch feature {
            case .label: prediction.bestIndex
            case .confidence: bins[feature]?.index(of: Double(prediction.best.value)) ?? 0
            case .tokens: bins[feature]?.index(of: Double(prediction.tokens)) ?? 0
            case .unknownTokens: bins[feature]?.index(of: traits.unknown ?? 0) ?? 0
            case .emoji: bins[feature]?.index(of: Double(traits.emoji)) ?? 0
            case .script: traits.script.rawValue
            }
        }
    }
}

// MARK: - The file

extension ReferenceProfile {
    public var json: JSONValue {
        func counts(_ feature: Feature) -> [JSONValue] { (distributions[feature]?.counts ?? []).map(JSONValue.integer) }
        let features = Feature.allCases.filter { distributions[$0] != nil }.map { feature in
            let value: JSONValue
            switch feature {
            case .label: value = .object(zip(labels, counts(feature)).map { .init($0, $1) })
            case .script: value = .object(zip(Script.allCases, counts(feature)).map { .init($0.name, $1) })
            default:
                value = [
                    "edges": .array((bins[feature]?.edges ?? []).map(JSONValue.number)), "counts": .array(counts(feature)),
                ]
            }
            return JSONValue.Member(feature.rawValue, value)
        }
        let tokens = tokenCounts?.texts.sorted { ($1.value, $0.key) < ($0.value, $1.key) } ?? []
        return [
            "format_version": .integer(Self.formatVersion), "dataset": .string(dataset), "split": .string(split),
            "precision": .string(precision),
            "texts": .integer(distributions[.label]?.total ?? 0),
            "features": .object(features),
            "token_counts": tokenCounts.map {
                [
                    "ids": .array(tokens.map { .integer($0.key) }), "texts": .array(tokens.map { .integer($0.value) }),
                    "unlisted": .integer($0.unlisted),
                ]
            } ?? nil,
            "embedding": embedding.map {
                [
                    "mean": .array($0.mean.map(JSONValue.number)),
                    "covariance": .array($0.covariance.map { .array($0.map(JSONValue.number)) }),
                ]
            } ?? nil,
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
        "Write it anew with apus evaluate --drift-reference, or delete it to serve without drift figures"

    private struct Problem: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    private init(json: JSONValue, labels: [String]) throws {
        guard let version = json["format_version"]?.integer else { throw Problem("has no whole number \"format_version\"") }
        guard 1...Self.formatVersion ~= version else {
            throw Problem("has format_version \(version); this version of Apus reads 1 to \(Self.formatVersion)")
        }
        func text(_ name: String) throws -> String {
            guard let text = json[name]?.string else { throw Problem("has no string \"\(name)\"") }
            return text
        }
        guard let features = json["features"], features.object != nil else { throw Problem("has no object \"features\"") }
        guard let texts = json["texts"]?.integer, 1...1_000_000_000_000 ~= texts else {
            throw Problem("\"texts\" is not a whole number from 1 to 10^12")
        }
        self.labels = labels
        dataset = try text("dataset")
        split = try text("split")
        precision = try text("precision")

        var bins: [Feature: Bins] = [:]
        var distributions: [Feature: Distribution] = [:]
        for feature in Feature.allCases {
            let (value, name) = (features[feature.rawValue], "features.\(feature.rawValue)")
            if value == nil, ![.label, .confidence, .tokens].contains(feature) { continue }
            switch feature {
            case .label:
                distributions[feature] = try Self.distribution(
                    value, name, texts: texts, members: labels,
                    others: { "has the labels \($0); the model has \(labels.joined(separator: ", "))" })
            case .script:
                let scripts = Script.allCases.map(\.name)
                distributions[feature] = try Self.distribution(
                    value, name, texts: texts, members: scripts,
                    others: { "\"\(name)\" has \($0); this version of Apus knows \(scripts.joined(separator: ", "))" })
            default: (bins[feature], distributions[feature]) = try Self.histogram(value, name, texts: texts)
            }
        }
        self.bins = bins
        self.distributions = distributions
        tokenCounts = try json["token_counts"].flatMap { try $0 == nil ? nil : Self.tokenCounts($0, texts: texts) }
        embedding = try json["embedding"].flatMap { try $0 == nil ? nil : Self.embedding($0, texts: texts) }
    }

    private static func distribution(
        _ json: JSONValue?, _ name: String, texts: Int, members: [String], others: (String) -> String
    ) throws -> Distribution {
        guard let found = json?.object else { throw Problem("has no object \"\(name)\"") }
        guard found.map(\.name) == members else { throw Problem(others(found.map(\.name).joined(separator: ", "))) }
        return try distribution(.array(found.map(\.value)), name, texts: texts)
    }

    private static func tokenCounts(_ json: JSONValue, texts: Int) throws -> TokenCounts {
        func numbers(_ name: String) throws -> [Int] {
            guard let values = json[name]?.array, values.count <= TokenCounts.maximumTokens,
                case let numbers = values.compactMap(\.integer), numbers.count == values.count
            else { throw Problem("\"token_counts.\(name)\" is not up to \(TokenCounts.maximumTokens) whole numbers") }
            return numbers
        }
        let (ids, counts) = (try numbers("ids"), try numbers("texts"))
        guard let unlisted = json["unlisted"]?.integer, ids.count == counts.count, Set(ids).count == ids.count,
            (counts + [unlisted]).allSatisfy({ 1...texts ~= $0 })
        else {
            throw Problem("\"token_counts\" are not different ids, each with a count up to \"texts\", which is \(texts)")
        }
        return TokenCounts(texts: Dictionary(uniqueKeysWithValues: zip(ids, counts)), unlisted: unlisted, total: texts)
    }

    private static func embedding(_ json: JSONValue, texts: Int) throws -> EmbeddingDistribution {
        func numbers(_ json: JSONValue?) -> [Double] { (json?.array ?? []).map { $0.double ?? .nan } }
        let covariance = (json["covariance"]?.array ?? []).map(numbers)
        guard let embedding = EmbeddingDistribution(mean: numbers(json["mean"]), covariance: covariance, texts: texts) else {
            throw Problem(
                "\"embedding\" is not a mean of 2 to 16 numbers, an even number of them, with a covariance that is symmetric "
                    + "and positive definite")
        }
        return embedding
    }

    private static func histogram(
        _ json: JSONValue?, _ name: String, texts: Int
    ) throws -> (Bins, Distribution) {
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
