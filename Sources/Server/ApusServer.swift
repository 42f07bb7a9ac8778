import Engine
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import UnixSignals

/// The HTTP server: its routes, the models behind them, their metrics and drift.
public struct ApusServer: Sendable {
    let options: ServerOptions
    let logger: Logger
    private let state = ServerState()
    private let routes: RouteTable
    private let models: ModelRegistry
    private let repository: ModelRepository?
    /// What supervisors ask for: answered beyond the limit of connections and on the admin port, too.
    private let supervision: RouteTable
    /// What the admin port answers: that, and the repository.
    private let administration: RouteTable
    /// What the gRPC port answers.
    private let calls: RouteTable
    /// The places for clients, of the port and the gRPC port together.
    private let room: ConnectionRoom
    private let metrics: ServerMetrics
    private let feedback: Feedback?
    private let records: TrainingRecords?

    /// Of one model, which stays.
    public init(
        classifier: Classifier, options: ServerOptions = ServerOptions(), logger: Logger = Logger(label: "apus")
    ) throws(InputError) {
        let model = LoadedModel(classifier, from: ModelSource(name: options.modelName))
        try self.init([model], options: options, logger: logger)
    }

    /// Throws `InputError` where a model directory's `reference_profile.json` or `evaluation_report.json` are damaged, limits
    /// contradict each other, or two models have one name.
    ///
    /// - Parameters:
    ///   - loaded: at least one model; the first answers where none is named.
    ///   - loading: how others are loaded while these are served; nil where none are.
    public init(
        _ loaded: [LoadedModel], loading: ModelLoading? = nil, options: ServerOptions = ServerOptions(),
        logger: Logger = Logger(label: "apus")
    ) throws(InputError) {
        let limits = options.limits
        guard limits.clientBatch <= limits.queuedTexts else {
            throw InputError(
                "--max-client-batch",
                "is \(limits.clientBatch), more than the queue's \(limits.queuedTexts); raise --max-queue or lower it")
        }
        self.options = options
        self.logger = logger
        let metrics = ServerMetrics()
        let records = try options.records.map { (records) throws(InputError) in
            try TrainingRecords(records, metrics: metrics, logger: logger)
        }
        let feedback =
            options.feedback.answers > 0
            ? try Feedback(options.feedback, metrics: metrics, records: records, logger: logger) : nil
        let served = try loaded.map { (model) throws(InputError) in
            try ServedModel(
                model.classifier, name: model.source.name, options: options, metrics: metrics, feedback: feedback,
                selfTest: model.selfTest, logger: logger)
        }
        let names = served.map(\.names.name)
        if let name = names.first(where: { name in names.count { $0 == name } > 1 }) {
            throw InputError("--model", "two models are called \"\(name)\"; give each its own: --model NAME=MODEL")
        }
        let rollout = Rollout(
            metrics: metrics, logger: logger,
            shadowLog: try options.shadowLog.map { (path) throws(InputError) in try ShadowLog(path, logger) })
        let models = ModelRegistry(try rollout.models(served, loaded.map(\.source)))
        let repository = loading.map {
            ModelRepository(
                models, $0, loaded.map(\.source), options: options, metrics: metrics, feedback: feedback,
                rollout: rollout, logger: logger)
        }
        let prediction = TextPrediction(models: models, limits: limits, state: state, records: records)
        let status = StatusRoutes(
            models, limits, state: state, metrics: metrics, feedback: feedback, records: records)
        let inference = InferenceProtocolRoutes(prediction: prediction, models: models, state: state)
        let pages = try Pages(models, limits: limits)
        let predict = PredictRoutes(prediction: prediction).predict
        let platforms = PlatformRoutes(models: models, limits: limits, state: state)
        let changes = RepositoryRoutes(
            repository: repository, prediction: prediction, hasKey: options.access.apiKey != nil)
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
        let grpc = GRPCRoutes(inference: inference)
        supervision += grpc.supervision
        if let path = options.paths.health {
            supervision.append(.init(path, access: .always, isQuiet: true, get: status.ready))
        }
        let changing: [RouteTable.Route] = [
            .init("/v2/repository/index", post: changes.index),
            .init("/v2/repository/models/{model}/load", post: changes.load),
            .init("/v2/repository/models/{model}/unload", post: changes.unload),
        ]
        var rows: [RouteTable.Route] = [
            .init("/predict", post: predict),
            .init("/info", get: platforms.info),
            .init("/invocations", post: predict),
            .init("/v1/models", get: platforms.models),
            .init("/v1/models/{model}:predict", post: predict),
            .init("/v1/models/{model}", get: platforms.model),
            .init("/v2", get: inference.server),
        ]
        for model in ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"] {
            rows.append(.init(model, get: inference.model))
            rows.append(.init(model + "/ready", get: inference.modelReady))
            rows.append(.init(model + "/infer", post: inference.infer))
        }
        if let feedback {
            rows.append(.init("/feedback", post: FeedbackRoutes(feedback: feedback, prediction: prediction).judge))
        }
        for path in Pages.paths {
            rows.append(.init(path, access: .open, get: pages.page, post: path == "/" ? predict : nil))
        }
        if let path = options.paths.predict { rows.append(.init(path, post: predict)) }
        rows += grpc.others
        calls = RouteTable(grpc.supervision + grpc.others)
        self.supervision = RouteTable(supervision)
        administration = RouteTable(supervision + changing)
        routes = RouteTable(rows + changing + supervision)
        for route in routes.routes where route.methods.contains("POST") && !route.isQuiet {
            metrics.beginSeries(ofPostsTo: route.pattern)
        }
        room = Self.room(options.limits.connections, limits, self.supervision, metrics)
        self.metrics = metrics
        self.feedback = feedback
        self.records = records
        self.models = models
        self.repository = repository
    }

    /// Serves until SIGTERM or SIGINT, then finishes what was accepted. `port` 0 takes a free one.
    ///
    private static func room(
        _ places: Int, _ limits: ServerLimits, _ supervision: RouteTable, _ metrics: ServerMetrics
    ) -> ConnectionRoom {
        let probes = supervision.routes.flatMap { route in route.methods.map { "\($0) \(route.pattern)" } }
        return ConnectionRoom(places, limits: limits, probes: Set(probes), metrics: metrics)
    }

    /// - Parameters:
    ///   - admin: where health, status and metrics are answered as well, by a thread of their own.
    ///   - grpc: where gRPC's services are answered as well, and nothing else.
    public func run(host: String, port: Int, admin: ServerAddress? = nil, grpc: ServerAddress? = nil) async throws {
        let application = application(host: host, port: port) { port in
            let classifiers = models.current.served.map(\.classifier)
            logger.info(
                "serving",
                metadata: [
                    "url": .string("http://\(host):\(port)"),
                    "model": .string(classifiers.map(\.directory.name).joined(separator: ", ")),
                    "isa": .string(classifiers[0].instructionSet.name),
                    "threads": .stringConvertible(classifiers[0].threads),
                ])
        }
        let serving = GracefulService(
            service: Listening(service: application, address: ServerAddress(host: host, port: port), option: "--port"),
            state: state, gracePeriod: options.limits.gracePeriod, logger: logger)
        var services: [any Service] = [serving]
        // The last is stopped first, and a reload under way must not hold that up.
        if let repository, let file = repository.file { services.insert(HangUps(repository: repository, file: file), at: 0) }
        if let grpc {
            let listener = self.application(calls, grpc, on: MultiThreadedEventLoopGroup.singleton, room: room) { port in
                logger.info("gRPC port open", metadata: ["url": .string("http://\(grpc.host):\(port)")])
            }
            services.insert(Listening(service: listener, address: grpc, option: "--grpc-port"), at: 0)
        }
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
        feedback?.flush()
        records?.flush()
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

    /// Reads the models file again at each SIGHUP.
    private struct HangUps: Service {
        let repository: ModelRepository
        let file: String

        func run() async throws {
            for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
                await repository.reload(file)
            }
        }
    }

    /// - Parameter onRunning: gets the port that is open.
    package func application(
        host: String = "127.0.0.1", port: Int = 0, onRunning: @escaping @Sendable (Int) -> Void = { _ in }
    ) -> some ApplicationProtocol {
        application(
            routes, ServerAddress(host: host, port: port), on: MultiThreadedEventLoopGroup.singleton, room: room, onRunning)
    }

    /// Answers what supervisors ask for, and nothing else, on a group of event loops of its own.
    package func adminApplication(
        _ address: ServerAddress, on group: MultiThreadedEventLoopGroup
    ) -> some ApplicationProtocol {
        let room = Self.room(AdminListener.connections, options.limits, supervision, metrics)
        return application(administration, address, on: group, room: room) { port in
            logger.info("admin port open", metadata: ["url": .string("http://\(address.host):\(port)")])
        }
    }

    private func application(
        _ routes: RouteTable, _ address: ServerAddress, on group: MultiThreadedEventLoopGroup, room: ConnectionRoom,
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
        // The log tells of every refusal where it tells of such things at all.
        let paths = self.logger.logLevel > .debug ? ["/predict", "/invocations", "/", options.paths.predict] : []
        let door = Door(
            Set(paths.compactMap(\.self)).intersection(routes.routes.map(\.pattern)), models,
            places: options.limits.queuedTexts, state: state, authentication: options.access.apiKey.map(Authentication.init),
            metrics: metrics)
        return Application(
            responder: WholeModelIDs(router(routes).buildResponder(), models),
            server: HTTPServerBuilder { responder in
                HTTPConnection(
                    responder: responder, room: room, door: door, state: state, refused: refused, executors: executors)
            },
            configuration: .init(
                address: .hostname(address.host, port: address.port), serverName: "apus", backlog: 1024,
                availableConnectionsDelegate: .maximum(room.maximum, logger: logger)),
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
                    if needsKey { try authentication?.check(request.headers) }
                    return try await handler(request, context)
                }
            }
        }
        return router
    }
}
