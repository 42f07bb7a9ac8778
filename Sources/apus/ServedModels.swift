import ArgumentParser
import Engine
import Foundation
import Server

/// Which models `apus serve` serves, and how it comes to others while it runs.
struct ServedModels: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            A model directory as Hugging Face writes it, a fastText model's file, or a name on the Hub, which is fetched \
            (default: $APUS_MODEL, else the model inside the package). For several models again, as NAME=MODEL; the first \
            answers where a request names none.
            """, valueName: "model"))
    var model: [String] = []

    @Option(
        help:
            "The branch, tag or commit of a model of the Hub, where it is the only one (default: $APUS_REVISION, else main)."
    )
    var revision: String?

    @Option(
        help: """
            A file that says which models are served: {"models": [{"name", "model", "revision", "precision", \
            "text_preparation"}]}, of which name and model are needed. SIGHUP reads it again.
            """)
    var models: String?

    @Flag(help: "Lets clients with the API key, or without one from this machine, load and unload models by /v2/repository.")
    var allowLoad = false

    @Option(
        help: """
            How much memory each model may take for the scores of earlier texts: a text that comes again costs no pass. \
            Bytes, or with KiB, MiB or GiB: 32MiB (default: 0, none).
            """)
    var cache: String?

    @Option(
        help: ArgumentHelp(
            """
            A model that answers a share of the requests which name none, as long as its figures hold: NAME=5%. One of \
            --model NAME=MODEL.
            """, valueName: "name=share"))
    var canary: String?

    @Option(
        help: ArgumentHelp(
            """
            A model that reads the texts which the default model has answered, or a share of them, in the processor's idle \
            time, to be compared: NAME or NAME=10%. One of --model NAME=MODEL.
            """, valueName: "name[=share]"))
    var shadow: String?

    @OptionGroup var how: ClassifierOptions

    /// In order; the first is the default.
    ///
    /// - Parameter name: the operator's for a single model.
    func sources(_ name: String?) throws -> (sources: [ModelSource], file: String?) {
        let roles = try roles()
        if let file = try Settings().text(models, "--models") {
            guard model.isEmpty, revision == nil, name == nil, roles.isEmpty else {
                throw InputError(
                    "--models",
                    "says all of the models; leave out --model, --revision, --model-name, --canary and --shadow (\"share\" and "
                        + "\"shadow\" in the file)")
            }
            return (try ModelSource.file(file), file)
        }
        var sources = model.map(Self.source)
        for (option, name, role) in roles {
            guard let index = sources.firstIndex(where: { $0.name == name }) else {
                let known = sources.compactMap(\.name).map { "\"\($0)\"" }.joined(separator: ", ")
                throw InputError(
                    option,
                    "there is no model \"\(name)\" by --model \(name)=MODEL; named are \(known.isEmpty ? "none" : known)")
            }
            guard sources[index].role == nil else {
                throw InputError(option, "\"\(name)\" is the canary already; the shadow must be another model")
            }
            sources[index].role = role
        }
        if model.isEmpty { return ([ModelSource(name: name, revision: revision)], nil) }
        guard sources.count > 1 else {
            guard name == nil || sources[0].name == nil else {
                throw InputError("--model-name", "names the model that --model \(model[0]) names already; leave it out")
            }
            return ([ModelSource(name: sources[0].name ?? name, model: sources[0].model, revision: revision)], nil)
        }
        guard revision == nil, name == nil else {
            throw InputError(
                revision == nil ? "--model-name" : "--revision",
                "is for one model; for several give NAME=MODEL, or a revision each in --models FILE")
        }
        return (sources, nil)
    }

    private func roles() throws -> [(option: String, name: String, role: ModelRole)] {
        var roles: [(String, String, ModelRole)] = []
        if let text = try Settings().text(canary, "--canary") {
            let (name, share) = try ModelRole.named(text, by: "--canary")
            roles.append(("--canary", name, .canary(share: share)))
        }
        if let text = try Settings().text(shadow, "--shadow") {
            let (name, share) = try ModelRole.named(text, by: "--shadow", standard: 1)
            roles.append(("--shadow", name, .shadow(share: share)))
        }
        return roles
    }

    /// `NAME=MODEL`, or a model whose path happens to look like that.
    private static func source(_ text: String) -> ModelSource {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, ModelSource.isName(parts[0]), !FileManager.default.fileExists(atPath: text) else {
            return ModelSource(model: text)
        }
        return ModelSource(name: parts[0], model: parts[1])
    }

    private func cacheBytes() throws(InputError) -> Int {
        guard let text = try Settings().text(cache, "--cache") else { return 0 }
        let units = ["": 0, "KiB": 10, "MiB": 20, "GiB": 30]
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits), let shift = units[String(text.dropFirst(digits.count))], number <= 1 << (40 - shift)
        else { throw InputError("--cache", "\"\(text)\" is not a size up to 1024GiB; give bytes, or a size like 32MiB") }
        return number << shift
    }

    /// Loads models on one team of threads.
    ///
    /// - Parameter say: what is done with a classifier's note.
    func loader(say: @escaping @Sendable (String) -> Void) throws -> ModelLoading.Load {
        var shared = try how.options()
        shared.workers = InferenceWorkers()
        shared.cacheBytes = try cacheBytes()
        return { [shared] source, fetches in
            var options = shared
            options.precision = source.precision ?? options.precision
            options.preparation = source.textPreparation ?? options.preparation
            if case .shadow? = source.role {
                options.workers = InferenceWorkers(isInBackground: true)
                (options.threads, options.cacheBytes) = (1, 0)
            }
            let directory =
                fetches
                ? try await ModelLocation.resolve(source.model, revision: source.revision)
                : try ModelDirectory.resolve(source.model, revision: source.revision)
            let classifier = try Classifier(directory, options: options)
            if let note = classifier.note { say(note) }
            return classifier
        }
    }
}
