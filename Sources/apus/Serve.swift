import ArgumentParser
import Engine
import Foundation
import Logging
import Server

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serves models over HTTP.",
        discussion: "Every option can be set in the environment too: --max-queue as APUS_MAX_QUEUE.")

    /// What a server has open beside its connections: those that are beyond the limit or about to close, the admin port's,
    /// files, pipes, event loops.
    private static let otherFiles = 320

    @OptionGroup var models: ServedModels
    @OptionGroup var server: ServeOptions

    @Option(help: "The address to listen on (default: 127.0.0.1).")
    var host: String?

    @Option(help: "The port to listen on; 0 takes a free one (default: 7860).")
    var port: Int?

    @Option(help: "A port, with a thread of its own, for health, status and metrics; 0 takes a free one (default: none).")
    var adminPort: Int?

    @Option(help: "The address that --admin-port is opened on (default: 127.0.0.1).")
    var adminHost: String?

    @Option(help: "A port beside --port, on the same address, for gRPC alone; 0 takes a free one (default: none).")
    var grpcPort: Int?

    @Flag(help: "Opens the port without the self-test.")
    var noSelfTest = false

    @Flag(
        help:
            """
            Refuses to start where the model directory's evaluation_report.json tells of no passed gate for this very model: \
            weights, configuration, tokenizer, text preparation, calibration and precision.
            """)
    var requireGate = false

    func validate() throws {
        for (name, port) in [("--port", port), ("--admin-port", adminPort), ("--grpc-port", grpcPort)] {
            if let port, !(0...65535 ~= port) { throw ValidationError("\(name) must be from 0 to 65535, not \(port).") }
        }
    }

    func run() async throws {
        let settings = Settings()
        let host = try settings.text(host, "--host") ?? "127.0.0.1"
        var options = try server.options()
        let admin = try admin(settings)
        let (logger, writer) = try server.logger()
        defer { writer.flush() }
        let port = try Platform.port(port, settings) { logger.warning("\($0)") }
        let grpc = try Platform.port(grpcPort, "--grpc-port", settings) { logger.warning("\($0)") }
            .map { ServerAddress(host: host, port: $0) }
        let files = OpenFiles.allow(options.limits.connections + Self.otherFiles)
        if files < options.limits.connections + Self.otherFiles {
            options.limits.connections = max(1, files - Self.otherFiles)
            logger.warning(
                """
                the system allows \(files) open files (ulimit -n), which is enough for \(options.limits.connections) connections; \
                --max-connections is lowered to that
                """)
        }
        if let note = InstructionSet.note { logger.warning("\(note)") }
        try await makeServer(settings, options, logger).run(host: host, port: port, admin: admin, grpc: grpc)
    }

    /// A function of its own, behind which nothing holds the models that others will replace.
    private func makeServer(_ settings: Settings, _ options: ServerOptions, _ logger: Logger) async throws -> ApusServer {
        let requiresGate = try settings.flag(requireGate, "--require-gate")
        let testsItself = !(try settings.flag(noSelfTest, "--no-self-test"))
        let load = try models.loader { logger.warning("\($0)") }
        let (sources, file) = try models.sources(options.modelName)
        var loaded: [LoadedModel] = []
        for source in sources {
            let classifier = try await load(source, true)
            if requiresGate, let failures = try GateRequirement.failures(of: classifier) {
                StandardError.write(failures.map { "apus: the model's stored gate failed: \($0.printable)\n" }.joined())
                throw ExitCode(1)
            }
            let report = testsItself ? try await selfTest(classifier, source, options) : nil
            // The first pass takes the memory that all take; it is not to be somebody's request.
            if !testsItself { _ = try? classifier.predict(["a"]) }
            loaded.append(LoadedModel(classifier, from: source, selfTest: report))
        }
        let loading = ModelLoading(
            file: file, requiresGate: requiresGate, allowsRequests: try settings.flag(models.allowLoad, "--allow-load"),
            load: load)
        return try ApusServer(loaded, loading: loading, options: options, logger: logger)
    }

    private func selfTest(
        _ classifier: Classifier, _ source: ModelSource, _ options: ServerOptions
    ) async throws -> SelfTest.Report {
        var options = options
        options.modelName = source.name
        let report = try await SelfTest(classifier: classifier, options: options).run()
        guard report.failures.isEmpty else {
            StandardError.write(
                report.failures.map { "apus: the self-test failed: \($0.name): \($0.failure ?? "")\n" }.joined())
            throw ExitCode(1)
        }
        return report
    }

    private func admin(_ settings: Settings) throws(InputError) -> ServerAddress? {
        let host = try settings.text(adminHost, "--admin-host")
        if let port = try settings.value(adminPort, "--admin-port", 0...65535) {
            return ServerAddress(host: host ?? "127.0.0.1", port: port)
        }
        if host != nil { throw InputError("--admin-host", "is an address without a port; give --admin-port too") }
        return nil
    }
}
