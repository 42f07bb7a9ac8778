import ArgumentParser
import Engine
import Hub

struct PullCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull",
        abstract: "Fetches a model from the Hugging Face Hub into its standard cache, and prints where it is.",
        discussion: """
            HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH and HF_HUB_OFFLINE mean what they mean to Python's \
            huggingface_hub, which shares the cache. Proxies are those of HTTPS_PROXY, HTTP_PROXY and NO_PROXY; SSL_CERT_FILE \
            names certificates to trust in place of the system's.
            """)

    @Argument(help: "The model's name on the Hub, such as cardiffnlp/twitter-roberta-base-sentiment-latest.")
    var id: String

    @Option(help: "A branch, a tag or a commit (default: main).")
    var revision: String?

    func run() throws {
        guard let id = HubID(id) else {
            throw InputError(
                id, "is not a name on the Hub; give one like organisation/name, of letters, digits, \"-\", \"_\" and \".\"")
        }
        let snapshot = try Pulling.snapshot(of: id, revision: revision, allowsStale: false)
        try StandardOutput.write(Array("\(snapshot.path)\n".utf8))
    }
}

/// Fetching, with a progress bar.
enum Pulling {
    static func snapshot(of id: HubID, revision: String?, allowsStale: Bool) throws -> HubCache.Snapshot {
        var bar = ProgressBar(title: id.description, unit: .bytes)
        defer { bar.clear() }
        return try Pull.snapshot(of: id, revision: revision ?? "main", allowsStale: allowsStale) { event in
            switch event {
            case .progress(let done, let total, let before): bar.show(done, of: total, before: before)
            case .note(let text):
                bar.clear()
                StandardError.write("apus: \(text.printable)\n")
            }
        }
    }
}
