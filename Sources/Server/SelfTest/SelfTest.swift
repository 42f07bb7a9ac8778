import Engine
import Foundation
import Logging

/// The server's test of itself: every route, the error answers, a batch, and the texts whose labels are known, over real
/// HTTP on a loopback port, before anybody else gets to it. It also pays for what a first request costs.
public struct SelfTest: Sendable {
    public struct Check: Sendable {
        public let name: String
        /// What was wrong; nil where it passed.
        public let failure: String?
    }

    public struct Report: Sendable {
        public let checks: [Check]
        public let duration: Duration

        public var failures: [Check] { checks.filter { $0.failure != nil } }
    }

    /// Texts with the label that the model gave them when it was made: `reference_texts.jsonl` of its directory.
    static let referenceFileName = "reference_texts.jsonl"

    private let classifier: Classifier
    private let options: ServerOptions
    private let references: [(text: String, label: String)]

    /// Throws `InputError` where the model directory's `reference_texts.jsonl` is damaged.
    public init(classifier: Classifier, options: ServerOptions = ServerOptions()) throws(InputError) {
        // What is remembered would be compared with itself.
        self.classifier = classifier.withoutCache
        // The state directory is the real server's, which opens it after this one; so are the records and the log.
        var options = options
        options.feedback.directory = nil
        (options.records, options.shadowLog) = (nil, nil)
        self.options = options
        let path = classifier.directory.file(Self.referenceFileName)
        guard FileManager.default.fileExists(atPath: path) else {
            references = []
            return
        }
        let dataset = try Dataset(path: path, split: "reference", names: try LabelNames(classifier.labels))
        references = zip(dataset.texts, dataset.labels).map { ($0, classifier.labels[$1]) }
    }

    /// The test of the model alone, without HTTP: the labels that are known, and a batch beside its texts alone.
    func ofModel() throws -> Report {
        let start = ContinuousClock.now
        let texts = references.isEmpty ? ["good", "bad", "it is tuesday"] : references.map(\.text)
        let alone = try texts.map { try classifier.predict([$0])[0] }
        var checks = zip(references, alone).map { reference, found in
            Check(
                name: "\"\(reference.text)\" is \(reference.label)",
                failure: found.best.label == reference.label ? nil : "the label is now \(found.best.label)")
        }
        let together = try classifier.predict(texts)
        checks.append(
            Check(
                name: "a batch's texts are answered as each alone",
                failure: together == alone ? nil : "the scores of a text differ"))
        return Report(checks: checks, duration: ContinuousClock.now - start)
    }

    /// Starts a server on a free loopback port, asks it everything, and stops it.
    public func run() async throws -> Report {
        var logger = Logger(label: "apus.self-test")
        // The error answers are asked for; they are no news.
        logger.logLevel = .critical
        let server = try ApusServer(classifier: classifier, options: options, logger: logger)
        let start = ContinuousClock.now
        let checks = try await LoopbackClient.with(server) { client in
            await SelfTestClient.checks(client: client, classifier: classifier, options: options, references: references)
        }
        return Report(checks: checks ?? [], duration: ContinuousClock.now - start)
    }
}
