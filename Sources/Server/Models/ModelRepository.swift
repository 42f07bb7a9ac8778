import Engine
import Foundation
import Logging

/// Changes which models are served, one change after the other. A model is loaded beside what is served, judged by its gate
/// where one is required, and tested; then it takes its place in one step. What fails leaves all as it was.
actor ModelRepository {
    private let registry: ModelRegistry
    private let loading: ModelLoading
    private let options: ServerOptions
    private let metrics: ServerMetrics
    private let feedback: Feedback?
    private let rollout: Rollout
    private let logger: Logger
    /// Of all names that are known, in the order in which they came; a model that was unloaded keeps its place.
    private var sources: [(name: String, source: ModelSource)]
    /// The end of the last change.
    private var last: Task<Void, Never>?

    init(
        _ registry: ModelRegistry, _ loading: ModelLoading, _ sources: [ModelSource], options: ServerOptions,
        metrics: ServerMetrics, feedback: Feedback?, rollout: Rollout, logger: Logger
    ) {
        self.registry = registry
        self.loading = loading
        self.options = options
        self.metrics = metrics
        self.feedback = feedback
        self.rollout = rollout
        self.logger = logger
        self.sources = Self.named(registry.current.served, sources)
    }

    private static func named(_ served: [ServedModel], _ sources: [ModelSource]) -> [(name: String, source: ModelSource)] {
        zip(served, sources).map { ($0.names.name, $1.withoutRole) }
    }

    /// Whether clients may load and unload.
    nonisolated var allowsRequests: Bool { loading.allowsRequests }

    /// What SIGHUP reads again; nil for nothing.
    nonisolated var file: String? { loading.file }

    /// Every name that is known, with its model where it is served.
    var index: [(name: String, model: ServedModel?)] {
        let models = registry.current
        return sources.map { source in (source.name, models.served.first { $0.names.name == source.name }) }
    }

    // MARK: - Changes

    /// Loads a model from the source that its name has, changed by what `parameters` say, which is its source from then on. Where
    /// they say nothing but what a served model is for, that one goes on.
    func load(_ name: String, _ parameters: [(place: String, json: JSONValue)]) async throws -> ServedModel {
        try await inTurn(name) { repository in
            let source = try await repository.source(of: name, parameters)
            let served = await repository.servedAsItIs(source, parameters)
            let model = if let served { served } else { try await repository.make(source, fetches: false) }
            try await repository.put(model, source)
            return model
        }
    }

    /// The served model that only gets another share of the requests. A shadow runs on a thread of its own, and is loaded
    /// again to be anything else.
    private func servedAsItIs(_ source: ModelSource, _ parameters: [(place: String, json: JSONValue)]) -> ServedModel? {
        let models = registry.current
        guard let name = source.name, let role = source.role, parameters.allSatisfy({ ModelSource.isRoleOnly($0.json) }),
            (models.role(of: name)?.isShadow ?? false) == role.isShadow
        else { return nil }
        return models.served.first { $0.names.name == name }
    }

    /// Takes a model out; what it accepted it still answers. The name stays known.
    func unload(_ name: String) async throws {
        try await inTurn(name) { repository in try await repository.remove(name) }
    }

    /// Reads the models file again: all of it or nothing takes the place of what is served.
    func reload(_ file: String) async {
        _ = try? await inTurn(file) { repository in
            let sources: [ModelSource]
            do {
                sources = try ModelSource.file(file)
            } catch {
                throw ModelLoadFailure(reason: .modelsFile, message: "\(error)")
            }
            var models: [ServedModel] = []
            for source in sources { models.append(try await repository.make(source, fetches: true)) }
            try await repository.replace(models, sources)
        }
    }

    /// Runs a change after those before it, on no thread that answers requests, and tells of its failure.
    private func inTurn<Value: Sendable>(
        _ subject: String, _ change: @escaping @Sendable (ModelRepository) async throws -> Value
    ) async throws -> Value {
        let before = last
        let task = Task.detached { [self] in
            await before?.value
            return try await change(self)
        }
        last = Task { _ = await task.result }
        do {
            return try await task.value
        } catch let failure as ModelLoadFailure {
            metrics.modelLoadFailed(failure.reason)
            logger.error(
                "a model was not loaded; what was served still is",
                metadata: [
                    "name": .string(subject), "reason": .string(failure.reason.rawValue), "error": .string(failure.message),
                ])
            throw failure
        }
    }

    private func source(of name: String, _ parameters: [(place: String, json: JSONValue)]) throws -> ModelSource {
        let known = sources.first { $0.name == name }?.source
        let isElsewhere = parameters.contains { $0.json["model"] != nil }
        var source = isElsewhere ? ModelSource() : known ?? ModelSource()
        source.name = name
        do {
            for (place, json) in parameters { try source.take(json, place) }
        } catch {
            throw ModelLoadFailure(reason: .request, message: "\(error)")
        }
        guard known != nil || source.model != nil else {
            let known = sources.map { "\"\($0.name)\"" }.joined(separator: ", ")
            throw ModelLoadFailure(
                reason: .unknown,
                message: "there is no model \"\(name.shortened(to: 200))\" to load; known are \(known). A new one needs "
                    + "\"parameters\": {\"model\": …}")
        }
        guard known != nil || ModelSource.isName(name) else {
            throw ModelLoadFailure(
                reason: .request,
                message: "\"\(name.shortened(to: 200))\" is not a name; give letters, digits, dots, hyphens, underscores, "
                    + "128 at most")
        }
        if source.model != known?.model { try Self.checkDirectory(source.model ?? "") }
        let models = registry.current
        source.role = source.role ?? models.role(of: name)
        do {
            try rollout.check(name, source.role, models)
        } catch {
            throw ModelLoadFailure(reason: .request, message: "\(error)")
        }
        return source
    }

    /// Whoever may load may name a directory or what is in the Hub's cache, and no other file.
    private static func checkDirectory(_ model: String) throws {
        var isDirectory: ObjCBool = false
        guard case .path(let path)? = try? ModelReference(model) else { return }
        guard path.hasPrefix("/"), FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory),
            isDirectory.boolValue
        else {
            throw ModelLoadFailure(
                reason: .source,
                message: "\"\(path.shortened(to: 200))\" is no directory of the server's machine that begins with /, and no "
                    + "name on the Hub (organisation/name)")
        }
    }

    /// A model that may be served.
    private nonisolated func make(_ source: ModelSource, fetches: Bool) async throws -> ServedModel {
        do {
            let classifier = try await loading.load(source, fetches)
            if loading.requiresGate {
                let failures: [String]?
                do {
                    failures = try GateRequirement.failures(of: classifier)
                } catch {
                    throw ModelLoadFailure(reason: .gate, message: "\(error)")
                }
                if let failures {
                    throw ModelLoadFailure(
                        reason: .gate, message: "its stored gate failed: \(failures.joined(separator: "; "))")
                }
            }
            let report = try SelfTest(classifier: classifier, options: options).ofModel()
            if !report.failures.isEmpty {
                let failures = report.failures.map { "\($0.name): \($0.failure ?? "")" }
                throw ModelLoadFailure(
                    reason: .selfTest, message: "its self-test failed: \(failures.joined(separator: "; "))")
            }
            return try ServedModel(
                classifier, name: source.name, options: options, metrics: metrics, feedback: feedback, selfTest: report,
                logger: logger)
        } catch let failure as ModelLoadFailure {
            throw failure
        } catch {
            throw ModelLoadFailure(reason: .source, message: "\(error)".shortened(to: 1000).printable)
        }
    }

    private func put(_ model: ServedModel, _ source: ModelSource) throws {
        let name = model.names.name
        try change(or: .request) { (models) throws(InputError) in try rollout.put(model, as: source.role, into: &models) }
        let role = source.role
        let source = source.withoutRole
        if let index = sources.firstIndex(where: { $0.name == name }) {
            sources[index].source = source
        } else {
            sources.append((name, source))
        }
        logger.notice("a model was loaded", metadata: Self.metadata(model, role))
    }

    /// Where it fails, nothing is changed.
    private func change(
        or reason: ModelLoadFailure.Reason, _ body: (inout ModelRegistry.Models) throws(InputError) -> Void
    ) throws {
        var models = registry.current
        do throws(InputError) {
            try body(&models)
        } catch {
            throw ModelLoadFailure(reason: reason, message: "\(error)")
        }
        registry.change { $0 = models }
    }

    private func remove(_ name: String) throws {
        guard registry.current.served.contains(where: { $0.names.name == name }) else {
            throw ModelLoadFailure(reason: .unknown, message: "there is no model \"\(name.shortened(to: 200))\" to unload")
        }
        registry.change { models in
            models.served.removeAll { $0.names.name == name }
            models.endRole(of: name)
        }
        metrics.registry.remove(("model", name))
        logger.notice("a model was unloaded", metadata: ["name": .string(name)])
    }

    private func replace(_ models: [ServedModel], _ sources: [ModelSource]) throws {
        let before = registry.current.served.map(\.names.name)
        try change(or: .modelsFile) { (current) throws(InputError) in current = try rollout.models(models, sources) }
        self.sources = Self.named(models, sources)
        for name in before where !models.contains(where: { $0.names.name == name }) {
            metrics.registry.remove(("model", name))
        }
        for (model, source) in zip(models, sources) {
            logger.notice("a model was loaded", metadata: Self.metadata(model, source.role))
        }
    }

    private static func metadata(_ model: ServedModel, _ role: ModelRole?) -> Logger.Metadata {
        var metadata: Logger.Metadata = [
            "model": .string(model.identity), "from": .string(model.classifier.directory.name),
        ]
        if let role { metadata["role"] = .string("\(role)") }
        return metadata
    }
}
