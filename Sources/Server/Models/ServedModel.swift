import Engine
import Logging

/// One model as it is served: all that its requests need, and what is told of it. A request keeps the one that it began with,
/// whatever takes its place meanwhile; the last of them frees it.
final class ServedModel: Sendable {
    let names: ModelNames
    let classifier: Classifier
    let queue: InferenceQueue
    let metrics: ModelMetrics
    let drift: DriftMonitor?
    /// Tokens are told to those who have the key, never to everybody.
    private let tellsTokens: Bool
    /// Where its answers are remembered; nil where they are not.
    let memory: Feedback.Memory?
    let gate: StoredEvaluation?
    let digest: String
    /// For `X-Apus-Model`: its name, and of the digest the first 12 digits.
    let identity: String
    /// What of it never changes.
    private let facts: [JSONValue.Member]

    /// Throws `InputError` where the model directory's `reference_profile.json` or `evaluation_report.json` are damaged, or a
    /// limit is beyond the model's. Reads all of its files, for the digest.
    ///
    /// - Parameter name: the operator's for it; nil for the last part of its id.
    init(
        _ classifier: Classifier, name: String?, options: ServerOptions, metrics: ServerMetrics,
        feedback: Feedback?, selfTest: SelfTest.Report?, logger: Logger
    ) throws(InputError) {
        let batchTokens = options.limits.batchTokens ?? classifier.batchTokens
        guard batchTokens <= classifier.batchTokens else {
            throw InputError(
                "--max-batch-tokens", "is \(batchTokens); a pass of this model takes \(classifier.batchTokens) at most")
        }
        self.classifier = classifier
        names = ModelNames(classifier.directory, chosen: name)
        gate = try Self.gate(of: classifier, logger)
        drift = try ReferenceProfile(directory: classifier.directory, labels: classifier.labels)
            .map { DriftMonitor($0, window: options.drift) }
        tellsTokens = options.access.apiKey != nil
        self.metrics = ModelMetrics(names.name, labels: classifier.labels, in: metrics.registry)
        queue = InferenceQueue(
            classifier, .init(texts: options.limits.queuedTexts, batchTokens: batchTokens), metrics: self.metrics)
        digest = classifier.modelDigest().hexadecimal
        // Only of one label of several can be said that another one was right.
        memory =
            classifier.kind == .oneLabel
            ? feedback?.memory(of: .init(name: names.name, digest: digest, labels: classifier.labels)) : nil
        identity = "\(names.name)@\(digest.prefix(12))"
        facts = Self.facts(classifier, names, gate, selfTest) + [.init("model_digest", .string(digest))]
    }

    /// The stored report, where it tells of this model: another model's would be taken for its own.
    private static func gate(of classifier: Classifier, _ logger: Logger) throws(InputError) -> StoredEvaluation? {
        guard let report = try StoredEvaluation(directory: classifier.directory) else { return nil }
        guard let difference = report.difference(from: classifier) else { return report }
        logger.warning(
            "evaluation_report.json is left out: it \(difference). Renew it with apus evaluate --report",
            metadata: ["file": .string(classifier.directory.file(StoredEvaluation.fileName))])
        return nil
    }

    private static func facts(
        _ classifier: Classifier, _ names: ModelNames, _ gate: StoredEvaluation?, _ selfTest: SelfTest.Report?
    ) -> [JSONValue.Member] {
        let facts: JSONValue = [
            "name": .string(names.name),
            "model": .string(classifier.directory.name),
            "revision": classifier.directory.revision.map { .string($0) } ?? nil,
            "architecture": .string(classifier.architecture),
            "labels": .array(classifier.labels.map(JSONValue.string)),
            "precision": .string(classifier.precision.rawValue),
            "isa": .string(classifier.instructionSet.name),
            "isa_note": InstructionSet.note.map { .string($0) } ?? nil,
            "threads": .integer(classifier.threads),
            "calibration": classifier.calibration?.summary ?? nil,
            "self_test": selfTest.map {
                [
                    "passed": .bool($0.failures.isEmpty), "checks": .integer($0.checks.count),
                    "seconds": .number($0.duration / .seconds(1)),
                ]
            } ?? nil,
            "gate": gate.map {
                [
                    "passed": $0.gateFailures.map { .bool($0.isEmpty) } ?? nil, "accuracy": .number($0.accuracy),
                    "macro_recall": .number($0.macroRecall), "dataset": .string($0.dataset), "split": .string($0.split),
                    "precision": .string($0.precision),
                    "failures": $0.gateFailures.map { .array($0.map(JSONValue.string)) } ?? nil,
                ]
            } ?? nil,
            "weights_sha256": .string(classifier.weightsDigest()),
        ]
        return facts.object ?? []
    }

    /// How right it was, of what `Feedback.live()` says of all models; nil where nothing was said of it.
    func accuracy(_ live: [UInt16: LiveAccuracy]) -> LiveAccuracy? { memory.flatMap { live[$0.number] } }

    /// What `GET /status` says of it.
    var status: [JSONValue.Member] {
        facts + [
            .init("queue", ["texts": .integer(queue.depth), "limit": .integer(queue.limits.texts)]),
            .init("drift", drift.map(json) ?? nil),
        ]
    }

    private func json(_ drift: DriftMonitor) -> JSONValue {
        let report = drift.current
        let features = ReferenceProfile.Feature.allCases.compactMap { feature in
            report.figures[feature].map { figures in
                JSONValue.Member(
                    feature.rawValue,
                    ["psi": .number(figures.stabilityIndex), "js_distance": .number(figures.jensenShannonDistance)])
            }
        }
        return [
            "samples": .integer(report.samples), "minimum_samples": .integer(drift.window.minimumSamples),
            "features": features.isEmpty ? nil : .object(features),
            "embedding": report.embedding.map {
                [
                    "mean": .number($0.mean), "mean_p_value": .number($0.meanPValue),
                    "covariance": .number($0.covariance),
                ]
            } ?? nil,
            "tokens": tellsTokens ? drift.risenTokens().map(json) ?? nil : nil,
        ]
    }

    private func json(_ risen: [DriftMonitor.RisenToken]) -> JSONValue {
        let names = risen.isEmpty ? [:] : classifier.model.tokensByID()
        return .array(
            risen.map {
                [
                    "token": .string(names[$0.id] ?? String($0.id)), "g2": .number($0.logLikelihoodRatio),
                    "share": .number($0.share), "reference_share": .number($0.referenceShare),
                    "requests": .integer($0.requests),
                ]
            })
    }
}
