import Engine
import Hummingbird

/// `GET /status`, `/health/…` and `/metrics`.
struct StatusRoutes: Sendable {
    let models: ModelRegistry
    let limits: ServerLimits
    let state: ServerState
    let metrics: ServerMetrics
    let feedback: Feedback?
    let records: TrainingRecords?
    private let started = ContinuousClock.now

    init(
        _ models: ModelRegistry, _ limits: ServerLimits, state: ServerState, metrics: ServerMetrics, feedback: Feedback?,
        records: TrainingRecords?
    ) {
        self.models = models
        self.limits = limits
        self.state = state
        self.metrics = metrics
        self.feedback = feedback
        self.records = records
    }

    /// The default model's, then the server's, then each model's.
    func status(_ request: Request, _ context: ApusRequestContext) -> Response {
        let models = models.current
        let quota = CPUQuota()
        return .json(
            .object(
                (models.standard?.status ?? []) + [
                    .init("version", .string(apusVersion)),
                    .init("limits", limits(of: models.standard)),
                    .init(
                        "cpu",
                        [
                            "affinity": .integer(ProcessorCount.affinity),
                            "quota": quota.map { .number($0.processors) } ?? nil,
                            "throttled_periods": quota?.throttledPeriods.map { .integer($0) } ?? nil,
                        ]),
                    .init("feedback", feedback?.json(models.served) ?? nil),
                    .init("canary", models.canary?.json ?? nil),
                    .init("shadow", models.shadow?.json ?? nil),
                    .init("records", records?.json ?? nil),
                    .init("uptime_seconds", .number((ContinuousClock.now - started) / .seconds(1))),
                    .init("models", .array(models.served.map { .object($0.status) })),
                ]))
    }

    private func limits(of model: ServedModel?) -> JSONValue {
        func seconds(_ duration: Duration) -> JSONValue { .number(duration / .seconds(1)) }
        return [
            "max_tokens": model?.classifier.maximumTokens.map { .integer($0) } ?? nil,
            "max_characters": .integer(TextTokenizer.maximumCharacters),
            "max_body_bytes": .integer(limits.bodyBytes),
            "max_client_batch": .integer(limits.clientBatch),
            "max_queue": .integer(limits.queuedTexts),
            "max_batch_tokens": model.map { .integer($0.queue.limits.batchTokens) } ?? nil,
            "max_connections": .integer(limits.connections),
            "request_timeout_seconds": seconds(limits.requestTimeout),
            "read_timeout_seconds": seconds(limits.readTimeout),
            "idle_timeout_seconds": seconds(limits.idleTimeout),
            "grace_period_seconds": seconds(limits.gracePeriod),
        ]
    }

    func live(_ request: Request, _ context: ApusRequestContext) -> Response { .json(["status": "live"]) }

    func ready(_ request: Request, _ context: ApusRequestContext) throws -> Response {
        try state.refuseWhenStopping()
        _ = try models.current.model(nil)
        return .json(["status": "ready"])
    }

    func metrics(_ request: Request, _ context: ApusRequestContext) -> Response {
        let text = metrics.text(models.current, connections: state.connections, feedback: feedback)
        return Response(
            status: .ok, headers: [.contentType: PrometheusText.contentType],
            body: .init(byteBuffer: ByteBuffer(string: text)))
    }
}
