import ArgumentParser
import Engine

/// What every command takes that loads a model.
struct ModelOptions: ParsableArguments {
    @OptionGroup var location: ModelLocation
    @OptionGroup var how: ClassifierOptions

    /// The options, else `APUS_PRECISION`, `APUS_BACKEND`, `APUS_THREADS`, `APUS_TEXT_PREPARATION`, `APUS_THRESHOLD`,
    /// `APUS_LONG_TEXTS` and `APUS_RAW`.
    func classifier() async throws -> Classifier {
        let classifier = try Classifier(try await location.resolve(), options: try options())
        if let note = classifier.note { StandardError.write("apus: \(note)\n") }
        return classifier
    }

    func options() throws -> Classifier.Options { try how.options() }

    /// A text's tokens, by the model's tokenizer alone; its weights are not loaded.
    func tokens() async throws -> (_ text: String, _ index: Int) throws -> [(id: Int, token: String)] {
        let directory = try await location.resolve()
        if let file = directory.fastText {
            let classifier = try FastTextClassifier(file, options: .init(preparation: try how.preparation()))
            return { try classifier.tokens($0, index: $1) }
        }
        let tokenizer = try TextTokenizer(directory, preparation: try how.preparation())
        let tokens = tokenizer.tokensByID()
        return { try tokenizer.encode($0, index: $1).ids.map { ($0, tokens[$0] ?? "") } }
    }
}

/// How a model computes.
struct ClassifierOptions: ParsableArguments {
    @Option(help: "The arithmetic of the matrix products: int8 or f32 (default: int8; f32 with --backend openblas).")
    var precision: Precision?

    @Option(help: "What computes the matrix products: simd (Apus' kernels) or openblas (f32 only) (default: simd).")
    var backend: Backend?

    @Option(help: "Threads (default: as many as affinity mask and cgroup quota allow).")
    var threads: Int?

    @Option(help: "How texts are prepared: tweet or none (default: config.json's text_preparation, else tweet).")
    var textPreparation: String?

    @Option(
        help: "The lowest probability of a label in \"labels\", for models that judge each label by itself (default: 0.5).")
    var threshold: Float?

    @Option(help: "What to do with texts longer than the model reads: truncate, refuse or windows (default: truncate).")
    var longTexts: LongTexts?

    @Flag(help: "Ignores the calibration in the model's directory (calibration.json; see apus help calibrate).")
    var raw = false

    func validate() throws {
        if backend == .openblas, precision == .int8 {
            throw ValidationError("--backend openblas has no int8 products; use --precision f32.")
        }
        if let threads, !(1...1024 ~= threads) {
            throw ValidationError("--threads must be from 1 to 1024, not \(threads).")
        }
    }

    func options() throws -> Classifier.Options {
        let settings = Settings()
        return Classifier.Options(
            precision: try settings.choice(precision, "--precision", Precision.allCases),
            backend: try settings.choice(backend, "--backend", Backend.allCases),
            threads: try settings.value(threads, "--threads", 1...1024), preparation: try preparation(),
            spreadsThreads: true,
            threshold: try settings.value(threshold, "--threshold", 0...1) ?? 0.5,
            longTexts: try settings.choice(longTexts, "--long-texts", LongTexts.allCases) ?? .truncate,
            usesCalibration: !(try settings.flag(raw, "--raw")))
    }

    func preparation() throws -> TextPreparation? {
        try Settings().text(textPreparation, "--text-preparation")
            .map { try TextPreparation(named: $0, by: "--text-preparation") }
    }
}

extension Precision: ExpressibleByArgument {}
extension Backend: ExpressibleByArgument {}
extension LongTexts: ExpressibleByArgument {}
extension RecordFormat: ExpressibleByArgument {}
