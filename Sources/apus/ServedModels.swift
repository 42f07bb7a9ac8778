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

    @OptionGroup var how: ClassifierOptions

    /// In order; the first is the default.
    ///
    /// - Parameter name: the operator's for a single model.
    func sources(_ name: String?) throws -> (sources: [ModelSource], file: String?) {
        if let file = try Settings().text(models, "--models") {
            guard model.isEmpty, revision == nil, name == nil else {
                throw InputError("--models", "says all of the models; leave out --model, --revision and --model-name")
            }
            return (try ModelSource.file(file), file)
        }
        if model.isEmpty { return ([ModelSource(name: name, revision: revision)], nil) }
        let sources = model.map(Self.source)
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
        else { throw InputError("--cache", "\"\(text)\" is no size up to 1024GiB; give bytes, or like 32MiB") }
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
