import ArgumentParser
import Engine
import Foundation
import Logging
import Server

/// What `apus serve` and `apus self-test` take. Each option may stand in the environment too: `--max-queue` as
/// `APUS_MAX_QUEUE`; what is given on the command line comes first.
struct ServeOptions: ParsableArguments {
    @Option(help: "The largest request body, in bytes; a compressed one may unpack to as much (default: 2097152).")
    var maxBodyBytes: Int?

    @Option(help: "The maximum number of texts in a request (default: 128).")
    var maxClientBatch: Int?

    @Option(help: "The maximum number of texts that wait for the model; requests beyond it get a 429 (default: 1024).")
    var maxQueue: Int?

    @Option(help: "The maximum number of tokens in a forward pass (default: what the model takes, 1024 for most).")
    var maxBatchTokens: Int?

    @Option(help: "The maximum number of connections; one more takes an idle one's place or gets a 503 (default: 1024).")
    var maxConnections: Int?

    @Option(help: "Seconds in which a request must be answered; after that it gets a 504 (default: 30).")
    var requestTimeout: Double?

    @Option(help: "Seconds in which a request must arrive whole; after that it gets a 408 (default: 20).")
    var readTimeout: Double?

    @Option(help: "Seconds that a connection may be idle, or leave an answer unread (default: 75).")
    var idleTimeout: Double?

    @Option(help: "Seconds to finish accepted requests after SIGTERM (default: 20).")
    var gracePeriod: Double?

    @Option(
        help: "What clients must send as \"Authorization: Bearer KEY\"; better set as APUS_API_KEY, which ps does not show.")
    var apiKey: String?

    @Flag(help: "Asks for the API key on /metrics and the pages too.")
    var apiKeyEverywhere = false

    @Option(
        name: [.customLong("cors"), .customLong("cors-allow-origin")],
        help: "An origin whose pages may call this server from a browser, or *; several with commas, or the option again.")
    var cors: [String] = []

    @Option(help: "What the model is called in /v1 and /v2 (default: the last part of its id).")
    var modelName: String?

    @Option(help: "The maximum number of predictions that drift is computed from (default: 10000).")
    var driftWindow: Int?

    @Option(help: "The maximum age of these predictions, in seconds (default: 86400).")
    var driftWindowTime: Double?

    @Option(help: "The minimum number of predictions from which drift is published (default: 500).")
    var driftMinSamples: Int?

    @Option(help: "The maximum number of answers remembered for POST /feedback; 0 turns feedback off (default: 262144).")
    var feedbackAnswers: Int?

    @Option(help: "Seconds that feedback counts for live accuracy (default: 86400).")
    var feedbackWindowTime: Double?

    @Option(
        help: "A directory in which answers (id, label, confidence, never the text) and feedback outlive a restart.")
    var state: String?

    @Option(help: "A file for the texts that a shadow labels differently from the model that answered.")
    var shadowLog: String?

    @Option(
        help: ArgumentHelp(
            """
            A directory in which texts are kept for the next training, with their scores and the feedback to them; those \
            of a share of the requests with =0.1 or =10% behind it (default: none).
            """, valueName: "directory[=share]"))
    var record: String?

    @Option(help: "The size of a file of texts, in bytes; another one follows (default: 67108864).")
    var recordFileBytes: Int?

    @Option(help: "The longest that a text is kept, in seconds (default: 2592000, 30 days).")
    var recordTtl: Double?

    @Option(help: "Log lines for people or for machines: text or json (default: text).")
    var logFormat: LineLogHandler.Format?

    @Option(help: "The lowest level that is logged: trace, debug, info, notice, warning, error, critical (default: info).")
    var logLevel: Logger.Level?

    func options() throws -> ServerOptions {
        var options = ServerOptions()
        let settings = Settings()
        try settings.set(&options.limits.bodyBytes, maxBodyBytes, "--max-body-bytes", 1...1 << 30)
        try settings.set(&options.limits.queuedTexts, maxQueue, "--max-queue", 1...10_000_000)
        // Where only the queue is made short, requests have to fit into it.
        options.limits.clientBatch = min(options.limits.clientBatch, options.limits.queuedTexts)
        try settings.set(&options.limits.clientBatch, maxClientBatch, "--max-client-batch", 1...1_000_000)
        if let tokens = try settings.value(maxBatchTokens, "--max-batch-tokens", 1...1 << 20) {
            options.limits.batchTokens = tokens
        }
        try settings.set(&options.limits.connections, maxConnections, "--max-connections", 1...1_000_000)
        try settings.set(&options.limits.requestTimeout, requestTimeout, "--request-timeout")
        try settings.set(&options.limits.readTimeout, readTimeout, "--read-timeout")
        try settings.set(&options.limits.idleTimeout, idleTimeout, "--idle-timeout")
        try settings.set(&options.limits.gracePeriod, gracePeriod, "--grace-period")
        try settings.set(&options.drift.samples, driftWindow, "--drift-window", 1...10_000_000)
        try settings.set(&options.drift.age, driftWindowTime, "--drift-window-time")
        options.drift.minimumSamples = min(options.drift.minimumSamples, options.drift.samples)
        try settings.set(&options.drift.minimumSamples, driftMinSamples, "--drift-min-samples", 1...10_000_000)
        guard options.drift.minimumSamples <= options.drift.samples else {
            throw InputError(
                "--drift-min-samples",
                "is \(options.drift.minimumSamples), more than --drift-window's \(options.drift.samples)")
        }
        try settings.set(&options.feedback.answers, feedbackAnswers, "--feedback-answers", 0...1 << 28)
        try settings.set(&options.feedback.window, feedbackWindowTime, "--feedback-window-time")
        options.feedback.directory = try settings.text(state, "--state")
        guard options.feedback.directory == nil || options.feedback.answers > 0 else {
            throw InputError("--state", "holds nothing with --feedback-answers 0; leave one of them out")
        }
        options.shadowLog = try settings.text(shadowLog, "--shadow-log")
        options.records = try records(settings)
        try settings.requireNonempty("--api-key")
        options.access.apiKey = try settings.text(apiKey, "--api-key")
        // A line end at the key's end, as files have one, would make a key that no client can send.
        if let key = options.access.apiKey?.utf8,
            !key.allSatisfy({ 0x20...0x7E ~= $0 }) || key.first == 0x20 || key.last == 0x20
        {
            throw InputError(
                "--api-key",
                "has a line end or another character that no HTTP header can hold, or a space around it; take it out")
        }
        options.access.allowedOrigins = try origins(settings)
        options.modelName = try name(settings)
        options.paths = try Platform.paths()
        options.access.protectsEverything = try settings.flag(apiKeyEverywhere, "--api-key-everywhere")
        if options.access.protectsEverything, options.access.apiKey == nil {
            throw InputError("--api-key-everywhere", "protects nothing without --api-key")
        }
        return options
    }

    private func records(_ settings: Settings) throws(InputError) -> RecordOptions? {
        guard let text = try settings.text(record, "--record") else { return nil }
        var options = RecordOptions(directory: text)
        if let sign = text.lastIndex(of: "="), !FileManager.default.fileExists(atPath: text) {
            let share = RequestShare.parse(String(text[text.index(after: sign)...]))
            guard let share, share > 0, sign > text.startIndex else {
                throw InputError(
                    "--record",
                    "\"\(text)\" ends in no share of the requests; give DIRECTORY=0.1 or DIRECTORY=10%, from over 0 to 1, "
                        + "or a directory that exists")
            }
            options = RecordOptions(directory: String(text[..<sign]), share: share)
        }
        try settings.set(&options.fileBytes, recordFileBytes, "--record-file-bytes", 1 << 10...1 << 40)
        try settings.set(&options.timeToLive, recordTtl, "--record-ttl")
        return options
    }

    private func origins(_ settings: Settings) throws(InputError) -> [String] {
        let given = cors.isEmpty ? nil : cors.joined(separator: ",")
        guard let list = try settings.text(given, "--cors") else { return [] }
        return try list.split(separator: ",", omittingEmptySubsequences: false).map { (part) throws(InputError) in
            let origin = part.trimmingCharacters(in: .whitespaces).lowercased()
            // A browser sends just this; one with a path, or a slash at its end, would never be met.
            guard origin == "*" || origin.wholeMatch(of: /[a-z][a-z0-9+.\-]*:\/\/[^\/\s]+/) != nil else {
                throw InputError(
                    "--cors",
                    "\"\(part)\" is not an origin; give a scheme, a host and its port if it has one, without a path: "
                        + "https://pages.example")
            }
            return origin
        }
    }

    private func name(_ settings: Settings) throws(InputError) -> String? {
        guard let name = try settings.text(modelName, "--model-name") else { return nil }
        guard ModelSource.isName(name) else {
            throw InputError("--model-name", "\"\(name)\" is not a name; give letters, digits, dots, - and _")
        }
        return name
    }

    /// The logger of a server, and what writes its lines.
    func logger() throws -> (logger: Logger, writer: LineWriter) {
        let settings = Settings()
        let format = try settings.choice(logFormat, "--log-format", LineLogHandler.Format.allCases) ?? .text
        let level = try settings.choice(logLevel, "--log-level", Logger.Level.allCases) ?? .info
        let writer = LineLogHandler.writer(format: format, label: "apus")
        let logger = Logger(label: "apus") { LineLogHandler(label: $0, format: format, level: level, writer: writer) }
        return (logger, writer)
    }
}

extension LineLogHandler.Format: ExpressibleByArgument {}
// The command line is the whole program: nobody else can declare it here.
// swift-format-ignore: AvoidRetroactiveConformances
extension Logger.Level: @retroactive ExpressibleByArgument {}
