import ArgumentParser
import Engine

/// What every command takes that loads a model.
struct ModelOptions: ParsableArguments {
    enum Precision: String, CaseIterable, ExpressibleByArgument { case f32 }

    @Option(help: "A model directory as Hugging Face writes it (default: $APUS_MODEL, else the model inside the package).")
    var model: String?

    @Option(help: "The arithmetic of the matrix products.")
    var precision = Precision.f32

    @Option(help: "Threads (default: what the process may use, by affinity mask and cgroup quota).")
    var threads: Int?

    @Option(help: "What is done to a text first: tweet or none (default: config.json's text_preparation, else tweet).")
    var textPreparation: String?

    func validate() throws {
        if let threads, !(1...1024 ~= threads) {
            throw ValidationError("--threads must be from 1 to 1024, not \(threads).")
        }
    }

    func classifier() throws -> Classifier {
        try Classifier(
            try ModelDirectory.resolve(model), options: .init(threads: threads, preparation: try preparation()))
    }

    func tokenizer() throws -> TextTokenizer {
        try TextTokenizer(try ModelDirectory.resolve(model), preparation: try preparation())
    }

    private func preparation() throws -> TextPreparation? {
        try textPreparation.map { try TextPreparation(named: $0, by: "--text-preparation") }
    }
}

extension RecordFormat: ExpressibleByArgument {}
