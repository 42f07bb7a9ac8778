import Engine
import Hummingbird

/// `GET /status`, `/health/…` and `/metrics`.
struct StatusRoutes: Sendable {
    let queue: InferenceQueue
    let drift: DriftMonitor?
    let state: ServerState
    let metrics: ServerMetrics
    private let facts: [JSONValue.Member]
    private let digests: Task<(weights: String, model: String), Never>
    private let started = ContinuousClock.now

    init(
        _ classifier: Classifier, _ limits: ServerLimits, queue: InferenceQueue, drift: DriftMonitor?, state: ServerState,
        metrics: ServerMetrics, gate: StoredEvaluation?, selfTest: SelfTest.Report?
    ) {
        self.queue = queue
        self.drift = drift
        self.state = state
        self.metrics = metrics
        // Half a gigabyte takes a while: begun before somebody asks.
        digests = Task.detached(priority: .background) {
            let model = classifier.modelDigest().hexadecimal
            metrics.publish(modelDigest: model)
            return (classifier.weightsDigest(), model)
        }
        func seconds(_ duration: Duration) -> JSONValue { .number(duration / .seconds(1)) }
        let facts: JSONValue = [
            "model": .string(classifier.directory.name),
            "revision": classifier.directory.revision.map { .string($0) } ?? nil,
            "architecture": .string(classifier.architecture),
            "labels": .array(classifier.labels.map(JSONValue.string)),
            "precision": .string(classifier.precision.rawValue),
            "isa": .string(classifier.instructionSet.name),
            "isa_note": InstructionSet.note.map { .string($0) } ?? nil,
            "threads": .integer(classifier.threads),
            "calibration": classifier.calibration?.summary ?? nil,
            "version": .string(apusVersion),
            "limits": [
                "max_tokens": classifier.maximumTokens.map { .integer($0) } ?? nil,
                "max_characters": .integer(TextTokenizer.maximumCharacters),
                "max_body_bytes": .integer(limits.bodyBytes),
                "max_client_batch": .integer(limits.clientBatch),
                "max_queue": .integer(queue.limits.texts),
                "max_batch_tokens": .integer(queue.limits.batchTokens),
                "max_connections": .integer(limits.connections),
                "request_timeout_seconds": seconds(limits.requestTimeout),
                "read_timeout_seconds": seconds(limits.readTimeout),
                "idle_timeout_seconds": seconds(limits.idleTimeout),
                "grace_period_seconds": seconds(limits.gracePeriod),
            ],
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
        ]
        self.facts = facts.object ?? []
    }

    func status(_ request: Request, _ context: ApusRequestContext) async throws -> Response {
        let digests = await digests.value
        let quota = CPUQuota()
        return .json(
            .object(
                facts + [
                    .init("weights_sha256", .string(digests.weights)), .init("model_digest", .string(digests.model)),
                    .init("queue", ["texts": .integer(queue.depth), "limit": .integer(queue.limits.texts)]),
                    .init(
                        "cpu",
                        [
                            "affinity": .integer(ProcessorCount.affinity),
                            "quota": quota.map { .number($0.processors) } ?? nil,
                            "throttled_periods": quota?.throttledPeriods.map { .integer($0) } ?? nil,
                        ]),
                    .init("drift", drift.map(Self.json) ?? nil),
                    .init("uptime_seconds", .number((ContinuousClock.now - started) / .seconds(1))),
                ]))
    }

    private static func json(_ drift: DriftMonitor) -> JSONValue {
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
        ]
    }

    func live(_ request: Request, _ context: ApusRequestContext) -> Response { .json(["status": "live"]) }

    func ready(_ request: Request, _ context: ApusRequestContext) throws -> Response {
        try state.refuseWhenStopping()
        return .json(["status": "ready"])
    }

    func metrics(_ request: Request, _ context: ApusRequestContext) async -> Response {
        _ = await digests.value  // of which apus_model_info tells
        let text = metrics.text(queueDepth: queue.depth, connections: state.connections, drift: drift)
        return Response(
            status: .ok, headers: [.contentType: PrometheusText.contentType],
            body: .init(byteBuffer: ByteBuffer(string: text)))
    }
}
