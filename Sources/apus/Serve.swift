import ArgumentParser
import Engine
import Server

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Serves a model over HTTP.")

    @OptionGroup var model: ModelOptions

    @Option(help: "The address to listen on.")
    var host = "127.0.0.1"

    @Option(help: "The port to listen on; 0 takes a free one.")
    var port = 7860

    @Option(help: "The largest request body, in bytes.")
    var maxBodyBytes = ServerLimits().bodyBytes

    @Option(help: "The most texts of one request.")
    var maxClientBatch = ServerLimits().clientBatch

    func validate() throws {
        if !(0...65535 ~= port) { throw ValidationError("--port must be from 0 to 65535, not \(port).") }
        if maxBodyBytes < 1 { throw ValidationError("--max-body-bytes must be 1 or more, not \(maxBodyBytes).") }
        if maxClientBatch < 1 { throw ValidationError("--max-client-batch must be 1 or more, not \(maxClientBatch).") }
    }

    func run() async throws {
        let limits = ServerLimits(bodyBytes: maxBodyBytes, clientBatch: maxClientBatch)
        try await ApusServer(classifier: try model.classifier(), limits: limits).run(host: host, port: port)
    }
}
