import Engine
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// The HTTP server of one model: its routes, the queue to the model, metrics and drift.
public struct ApusServer: Sendable {
    let classifier: Classifier
    let options: ServerOptions
    let logger: Logger
    private let state = ServerState()
    private let routes: RouteTable
    /// What supervisors ask for: answered beyond the limit of connections and on the admin port, too.
    private let supervision: RouteTable
    private let names: ModelNames
    private let metrics: ServerMetrics

    /// Throws `InputError` where the model directory's `reference_profile.json` or `evaluation_report.json` are damaged, or
    /// limits contradict each other.
    ///
    /// - Parameter selfTest: what `GET /status` tells of it.
    public init(
        classifier: Classifier, options: ServerOptions = ServerOptions(), logger: Logger = Logger(label: "apus"),
        selfTest: SelfTest.Report? = nil
    ) throws(InputError) {
        let limits = options.limits
        let batchTokens = limits.batchTokens ?? classifier.batchTokens
        guard batchTokens <= classifier.batchTokens else {
            throw InputError(
                "--max-batch-tokens", "is \(batchTokens); a pass of this model takes \(classifier.batchTokens) at most")
        }
        guard limits.clientBatch <= limits.queuedTexts else {
            throw InputError(
                "--max-client-batch",
                "is \(limits.clientBatch), more than the queue's \(limits.queuedTexts); raise --max-queue or lower it")
        }
        self.classifier = classifier
        self.options = options
        self.logger = logger
        let gate = try Self.gate(of: classifier, logger)
        let drift = try ReferenceProfile(directory: classifier.directory, labels: classifier.labels)
            .map { DriftMonitor($0, window: options.drift) }
        let metrics = ServerMetrics(classifier, gate: gate)
        let queue = InferenceQueue(
            classifier, .init(texts: limits.queuedTexts, batchTokens: batchTokens), metrics: metrics)
        let prediction = TextPrediction(
            classifier: classifier, limits: limits, queue: queue, metrics: metrics, drift: drift, state: state)
        let status = StatusRoutes(
            classifier, limits, queue: queue, drift: drift, state: state, metrics: metrics, gate: gate, selfTest: selfTest)
        let names = ModelNames(classifier.directory, chosen: options.modelName)
        let inference = InferenceProtocolRoutes(prediction: prediction, state: state, names: names)
        let pages = try Pages(classifier, limits: limits, modelName: names.name)
        let predict = PredictRoutes(prediction: prediction).predict
        let platforms = PlatformRoutes(
            classifier, limits, batchTokens: batchTokens, names: names, state: state, predict: predict)
        var supervision: [RouteTable.Route] = [
            .init("/status", get: status.status),
            .init("/metrics", access: .open, isQuiet: true, get: status.metrics),
            .init("/health/live", access: .always, isQuiet: true, get: status.live),
            .init("/health/ready", access: .always, isQuiet: true, get: status.ready),
            .init("/health", access: .always, isQuiet: true, get: status.ready),
            .init("/ping", access: .always, isQuiet: true, get: status.ready),
            .init("/v2/health/live", access: .always, isQuiet: true, get: inference.live),
            .init("/v2/health/ready", access: .always, isQuiet: true, get: inference.ready),
        ]
        if let path = options.paths.health {
            supervision.append(.init(path, access: .always, isQuiet: true, get: status.ready))
        }
        var rows: [RouteTable.Route] = [
            .init("/predict", post: predict),
            .init("/info", get: platforms.info),
            .init("/invocations", post: predict),
            .init("/v1/models", get: platforms.models),
            .init("/v1/models/{model}:predict", post: platforms.predictByName),
            .init("/v1/models/{model}", get: platforms.model),
            .init("/v2", get: inference.server),
        ]
        for model in ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"] {
            rows.append(.init(model, get: inference.model))
            rows.append(.init(model + "/ready", get: inference.modelReady))
            rows.append(.init(model + "/infer", post: inference.infer))
        }
        for path in Pages.paths {
            rows.append(.init(path, access: .open, get: pages.page, post: path == "/" ? predict : nil))
        }
        if let path = options.paths.predict { rows.append(.init(path, post: predict)) }
        self.supervision = RouteTable(supervision)
        routes = RouteTable(rows + supervision)
        for route in routes.routes where route.methods.contains("POST") { metrics.beginSeries(ofPostsTo: route.pattern) }
        self.metrics = metrics
        self.names = names
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

    /// Serves until SIGTERM or SIGINT, then finishes what was accepted. `port` 0 takes a free one.
    ///
    /// - Parameter admin: where health, status and metrics are answered as well, by a thread of their own.
    public func run(host: String, port: Int, admin: ServerAddress? = nil) async throws {
        let application = application(host: host, port: port) { port in
            logger.info(
                "serving",
                metadata: [
                    "url": .string("http://\(host):\(port)"), "model": .string(classifier.directory.name),
                    "isa": .string(classifier.instructionSet.name), "threads": .stringConvertible(classifier.threads),
                ])
        }
        let serving = GracefulService(
            service: Listening(service: application, address: ServerAddress(host: host, port: port), option: "--port"),
            state: state, gracePeriod: options.limits.gracePeriod, logger: logger)
        var services: [any Service] = [serving]
        if let admin {
            let listener = AdminListener(server: self, address: admin)
            // Services are stopped from the last to the first: this one still tells of that.
            services.insert(Listening(service: listener, address: admin, option: "--admin-port"), at: 0)
        }
        var configuration = ServiceGroupConfiguration(
            services: services,
            gracefulShutdownSignals: [.sigterm, .sigint], logger: application.logger)
        // What is not answered by then waits for something that will not come.
        configuration.maximumGracefulShutdownDuration = options.limits.gracePeriod + .seconds(1)
        try await ServiceGroup(configuration: configuration).run()
        logger.info("stopped")
    }

    /// Says what cannot be listened on, and which option to change.
    private struct Listening<Base: Service>: Service {
        let service: Base
        let address: ServerAddress
        let option: String

        func run() async throws {
            do {
                try await service.run()
            } catch let error as IOError {
                throw InputError(
                    "\(address.host):\(address.port)",
                    "cannot be listened on: \(error.description). Choose another with \(option)")
            } catch let error as SocketAddressError.UnknownHost {
                let option = option.replacing("port", with: "host")
                throw InputError("\(option) \(address.host)", "is not an address of this machine: \(error)")
            }
        }
    }

    /// Ends the queue when the grace period is over: what still waits is refused.
    private struct GracefulService<Base: Service>: Service {
        let service: Base
        let state: ServerState
        let gracePeriod: Duration
        let logger: Logger

        func run() async throws {
            try await withGracefulShutdownHandler {
                try await service.run()
            } onGracefulShutdown: {
                state.stop()
                Task {
                    try await Task.sleep(for: gracePeriod)
                    logger.warning("the grace period is over; what still waits is refused")
                    state.abort()
                }
            }
        }
    }

    /// - Parameter onRunning: gets the port that is open.
    package func application(
        host: String = "127.0.0.1", port: Int = 0, onRunning: @escaping @Sendable (Int) -> Void = { _ in }
    ) -> some ApplicationProtocol {
        application(
            routes, ServerAddress(host: host, port: port), on: MultiThreadedEventLoopGroup.singleton,
            places: options.limits.connections, onRunning)
    }

    /// Answers what supervisors ask for, and nothing else, on a group of event loops of its own.
    package func adminApplication(
        _ address: ServerAddress, on group: MultiThreadedEventLoopGroup
    ) -> some ApplicationProtocol {
        application(supervision, address, on: group, places: AdminListener.connections) { port in
            logger.info("admin port open", metadata: ["url": .string("http://\(address.host):\(port)")])
        }
    }

    private func application(
        _ routes: RouteTable, _ address: ServerAddress, on group: MultiThreadedEventLoopGroup, places: Int,
        _ onRunning: @escaping @Sendable (Int) -> Void
    ) -> some ApplicationProtocol {
        var logger = logger
        // Hummingbird and the lifecycle log every step of a start and a stop.
        logger.logLevel = max(logger.logLevel, .notice)
        let (state, metrics) = (state, metrics)
        let refused: ConnectionGuard.Refusal = { [requestLogger = self.logger] error, identifier in
            metrics.requestRefused(status: error.status.code)
            // One without a place is counted, like a full queue's: there may be thousands in a second.
            requestLogger.log(
                level: error.status == .serviceUnavailable ? .debug : .info, "refused",
                metadata: [
                    "request_id": .string(identifier), "status": .stringConvertible(error.status.code),
                    "error": .string(error.type),
                ])
        }
        let executors = EventLoopExecutor.executors(of: group)
        let room = ConnectionRoom(
            places, limits: options.limits, probes: Set(supervision.routes.map(\.pattern)), metrics: metrics)
        return Application(
            responder: WholeModelIDs(router(routes).buildResponder(), names),
            server: HTTPServerBuilder { responder in
                HTTPConnection(responder: responder, room: room, state: state, refused: refused, executors: executors)
            },
            configuration: .init(
                address: .hostname(address.host, port: address.port), serverName: "apus", backlog: 1024,
                availableConnectionsDelegate: .maximum(places + ConnectionRoom.spare, logger: logger)),
            onServerRunning: { onRunning($0.localAddress?.port ?? address.port) },
            eventLoopGroupProvider: .shared(group), logger: logger)
    }

    private func router(_ routes: RouteTable) -> Router<ApusRequestContext> {
        let router = Router(context: ApusRequestContext.self)
        router.add(middleware: RequestRecorder(routes: routes, metrics: metrics, logger: logger))
        if !options.access.allowedOrigins.isEmpty {
            router.add(middleware: AllowedOrigins(options.access.allowedOrigins))
        }
        router.add(middleware: ErrorAnswers(routes: routes, logger: logger))
        let authentication = options.access.apiKey.map(Authentication.init)
        for route in routes.routes {
            for (method, access, handler) in route.handlers {
                let needsKey = access == .key || access == .open && options.access.protectsEverything
                router.on(RouterPath(route.pattern), method: method) { request, context in
                    if needsKey { try authentication?.check(request) }
                    return try await handler(request, context)
                }
            }
        }
        return router
    }
}
