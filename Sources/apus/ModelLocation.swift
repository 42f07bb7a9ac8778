import ArgumentParser
import Engine
import Hub

/// Which model.
struct ModelLocation: ParsableArguments {
    @Option(
        help: """
            A model directory as Hugging Face writes it, a fastText model's file, or a name on the Hub, which is fetched \
            (default: $APUS_MODEL, else the model inside the package).
            """)
    var model: String?

    @Option(help: "The branch, tag or commit of a model of the Hub (default: $APUS_REVISION, else main).")
    var revision: String?

    /// The model's files; one of the Hub is fetched where the cache has it not, or an older one.
    func resolve() async throws -> ModelDirectory {
        try await Self.resolve(model, revision: revision)
    }

    static func resolve(_ model: String?, revision given: String? = nil) async throws -> ModelDirectory {
        guard case .hub(let id) = try ModelReference(model) else {
            // The variable is no mistake: it may be there for another model.
            return try ModelDirectory.resolve(model, revision: given)
        }
        let revision = try Settings().text(given, "--revision")
        do {
            return try ModelDirectory(id, try Pulling.snapshot(of: id, revision: revision, allowsStale: true))
        } catch let error as InputError where error.subject == id.description {
            throw InputError(error.subject, "is not a directory here; on the Hub: \(error.problem)")
        }
    }
}
