/// How long whole forward passes take, from token ids to logits, beside the arithmetic peak measured in the same run.
public struct LatencyBenchmark {
    public struct Result: Sendable {
        public let precision: Precision
        /// Tokens of each text.
        public let length: Int
        /// Texts of a pass.
        public let batch: Int
        public let threads: Int
        public let latency: LatencySummary
        public let minimum: Double
        /// The products with the weights, per second of the median pass, over what the threads' peak would do.
        public let efficiency: Double

        public var tokensPerSecond: Double { Double(length * batch) / latency.p50 * 1000 }
    }

    /// A product of activations with one matrix of weights that comes from memory, on one thread.
    public struct Product: Sendable {
        public let precision: Precision
        public let rows: Int
        public let inputs: Int
        public let outputs: Int
        /// Billions of operations a second; a multiplication and an addition are two.
        public let rate: Double
        public let efficiency: Double
    }

    public let instructionSet: InstructionSet
    /// Of one core.
    public let peak: (int8: Double, f32: Double)
    public private(set) var results: [Result] = []
    public private(set) var products: [Product] = []
    private let config: ModelConfig
    private let checkpoint: Checkpoint
    private let backend: Backend?

    public init(_ model: RandomModel, backend: Backend? = nil) throws(InputError) {
        try self.init(model.config, model.checkpoint(), backend)
    }

    public init(_ directory: ModelDirectory, backend: Backend? = nil) throws(InputError) {
        guard !directory.isFastText else {
            throw InputError(
                directory.name, "is a fastText model, whose passes have no matrix products to measure; apus compare times it"
            )
        }
        try self.init(
            try ModelConfig(directory: directory.path), try Checkpoint.open(directory: directory.path), backend)
    }

    private init(_ config: ModelConfig, _ checkpoint: Checkpoint, _ backend: Backend?) throws(InputError) {
        self.config = config
        self.checkpoint = checkpoint
        self.backend = backend
        instructionSet = try InstructionSet.select()
        peak = (instructionSet.peak(.int8), instructionSet.peak(.f32))
    }

    /// The longest text the model takes.
    public var maximumLength: Int { config.maximumTokens }

    /// Whether passes of `batch` texts with these `lengths` can be measured.
    public func check(lengths: [Int], batch: Int) throws(InputError) {
        for length in lengths {
            guard 1...config.maximumTokens ~= length else {
                throw InputError("--lengths", "must be from 1 to this model's \(config.maximumTokens) tokens, not \(length)")
            }
            let most = InferenceSession.batchTokens(config)
            guard length * batch <= most else {
                throw InputError(
                    "--batch", "\(batch) texts of \(length) tokens are \(length * batch); a pass takes at most \(most)")
            }
        }
    }

    /// Measures each length for at least `seconds`, after a warm-up. Every pass must give the same bits.
    public mutating func run(
        _ precision: Precision, threads: Int, lengths: [Int], batch: Int, seconds: Double, progress: () -> Void = {}
    ) throws(InputError) {
        try check(lengths: lengths, batch: batch)
        let options = Classifier.Options(precision: precision, backend: backend, threads: threads, spreadsThreads: true)
        let session = try InferenceSession(config, checkpoint, try options.inference())
        if let note = session.note { throw InputError("--threads", note) }
        for length in lengths {
            var random = SplitMix64(state: UInt64(length))
            let ids = (0..<batch).map { _ in
                Encoding(ids: (0..<length).map { _ in Int.random(in: 0..<config.vocabulary.value, using: &random) })
            }
            let (times, logits) = session.onInferenceThread { Self.measure(session, ids, seconds: seconds) }
            guard logits.count == 1 else {
                preconditionFailure("\(precision) logits of \(length) tokens differ from pass to pass: \(logits)")
            }
            guard logits.first!.allSatisfy(\.isFinite) else {
                throw InputError(checkpoint.name, "the model's logits are \(logits.first!): its weights are damaged")
            }
            let latency = LatencySummary(milliseconds: times)
            let operations = config.weightOperations(tokens: length * batch, texts: batch)
            let peakOfAll = (precision == .int8 ? peak.int8 : peak.f32) * Double(threads)
            results.append(
                Result(
                    precision: precision, length: length, batch: batch, threads: threads, latency: latency,
                    minimum: times.min()!, efficiency: operations / (latency.p50 * 1e6) / peakOfAll))
            progress()
        }
    }

    /// Milliseconds of each pass, and the different logits that passes gave: one, if all is well (or NaN).
    private static func measure(
        _ session: InferenceSession, _ ids: [Encoding], seconds: Double
    ) -> (times: [Double], logits: [[Float]]) {
        let clock = ContinuousClock()
        var times: [Double] = []
        var found: [[Float]] = []
        func note(_ logits: Matrix) {
            let isNew = found.allSatisfy { known in
                !(0..<known.count).allSatisfy {
                    logits.row($0 / logits.columns)[$0 % logits.columns].bitPattern == known[$0].bitPattern
                }
            }
            if isNew { found.append((0..<logits.rows).flatMap { Array(logits.row($0)) }) }
        }
        let start = clock.now
        var isWarm = false
        while true {
            let before = clock.now
            let after = session.run(ids) { logits in
                let after = clock.now
                note(logits)
                return after
            }
            if isWarm { times.append((after - before) / .milliseconds(1)) }
            if !isWarm, after - start > .seconds(seconds / 5) { isWarm = true }
            if times.count >= 10, after - start > .seconds(seconds * 6 / 5) { break }
        }
        return (times, found)
    }

    /// Measures the products of the model's four shapes of weights.
    public mutating func runProducts(
        _ precision: Precision, rows: [Int], seconds: Double, progress: () -> Void = {}
    ) throws(InputError) {
        let (hidden, intermediate) = (config.hidden.value, config.intermediate.value)
        for (inputs, outputs) in [(hidden, 3 * hidden), (hidden, hidden), (hidden, intermediate), (intermediate, hidden)] {
            let benchmark = try ProductBenchmark(
                precision, inputs: inputs, outputs: outputs, maximumRows: rows.max() ?? 1, instructionSet)
            for rows in rows {
                let rate = benchmark.rate(rows: rows, seconds: seconds)
                products.append(
                    Product(
                        precision: precision, rows: rows, inputs: inputs, outputs: outputs, rate: rate,
                        efficiency: rate / (precision == .int8 ? peak.int8 : peak.f32)))
                progress()
            }
        }
    }

    /// What `apus bench --report` writes.
    public func report(cpu: String) -> JSONValue {
        [
            "cpu": .string(cpu), "isa": .string(instructionSet.name),
            "isa_note": InstructionSet.note.map { .string($0) } ?? nil,
            "peak": ["int8_gops": .number(peak.int8), "f32_gflops": .number(peak.f32)],
            "results": .array(
                results.map {
                    [
                        "precision": .string($0.precision.rawValue), "length": .integer($0.length),
                        "batch": .integer($0.batch),
                        "threads": .integer($0.threads), "p50_ms": .number($0.latency.p50),
                        "p90_ms": .number($0.latency.p90),
                        "p99_ms": .number($0.latency.p99), "min_ms": .number($0.minimum),
                        "tokens_per_second": .number($0.tokensPerSecond), "efficiency": .number($0.efficiency),
                    ]
                }),
            "products": .array(
                products.map {
                    [
                        "precision": .string($0.precision.rawValue), "rows": .integer($0.rows),
                        "inputs": .integer($0.inputs),
                        "outputs": .integer($0.outputs), "gops": .number($0.rate), "efficiency": .number($0.efficiency),
                    ]
                }),
        ]
    }
}

extension ModelConfig {
    /// Multiplications and additions of the products with weights, in a pass over `texts` with `tokens` together: the last
    /// layer has keys and values of all tokens, everything else of one token a text.
    func weightOperations(tokens: Int, texts: Int) -> Double {
        let (hidden, intermediate) = (hidden.value, intermediate.value)
        let whole = tokens * (4 * hidden * hidden + 2 * hidden * intermediate)
        let last = tokens * 2 * hidden * hidden + texts * (2 * hidden * hidden + 2 * hidden * intermediate)
        let head = texts * (hidden * hidden + hidden * labels.count)
        return 2 * Double((layers - 1) * whole + last + head)
    }
}
