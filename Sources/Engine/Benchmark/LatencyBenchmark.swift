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
    private let backend: Backend

    public init(
        _ model: RandomModel, backend: Backend = .simd, instructionSet: InstructionSet
    ) {
        self.init(model.config, model.checkpoint(), backend, instructionSet)
    }

    public init(
        _ directory: ModelDirectory, backend: Backend = .simd, instructionSet: InstructionSet
    ) throws(InputError) {
        self.init(
            try ModelConfig(directory: directory.path), try Checkpoint.open(directory: directory.path), backend, instructionSet)
    }

    private init(
        _ config: ModelConfig, _ checkpoint: Checkpoint, _ backend: Backend, _ instructionSet: InstructionSet
    ) {
        self.config = config
        self.checkpoint = checkpoint
        self.backend = backend
        self.instructionSet = instructionSet
        peak = (instructionSet.peak(.int8), instructionSet.peak(.f32))
    }

    /// The longest text the model takes.
    public var maximumLength: Int { config.maximumTokens }

    /// Measures each length for at least `seconds`, after a warm-up. Every pass must give the same bits.
    public mutating func run(
        _ precision: Precision, threads: Int, lengths: [Int], batch: Int, seconds: Double, progress: () -> Void = {}
    ) throws(InputError) {
        let session = try InferenceSession(
            config, checkpoint,
            .init(precision: precision, backend: backend, threads: threads, instructionSet: instructionSet))
        for length in lengths {
            guard 1...config.maximumTokens ~= length, length * batch <= session.batchTokens else {
                throw InputError(
                    "--lengths", "\(batch) texts of \(length) tokens do not fit: a text has 1 to \(config.maximumTokens) tokens, "
                        + "a pass \(session.batchTokens)")
            }
            var random = SplitMix64(state: UInt64(length))
            let ids = (0..<batch).map { _ in
                (0..<length).map { _ in Int.random(in: 3..<config.vocabulary.value, using: &random) }
            }
            let times = session.onInferenceThread { Self.times(session, ids, seconds: seconds) }
            guard let times else {
                throw InputError("apus bench", "\(precision) logits of \(length) tokens are not the same from pass to pass")
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

    /// Milliseconds of each pass; nil where two passes differ.
    private static func times(_ session: InferenceSession, _ ids: [[Int]], seconds: Double) -> [Double]? {
        let clock = ContinuousClock()
        func bits(_ logits: Matrix) -> [UInt32] { (0..<logits.rows).flatMap { logits.row($0).map(\.bitPattern) } }
        let expected = session.run(ids, bits)
        var times: [Double] = []
        let start = clock.now
        var isWarm = false
        while true {
            let before = clock.now
            session.run(ids) { _ in }
            let after = clock.now
            if isWarm { times.append((after - before) / .milliseconds(1)) }
            if !isWarm, after - start > .seconds(seconds / 5) { isWarm = true }
            if times.count >= 10, after - start > .seconds(seconds * 6 / 5) { break }
        }
        return session.run(ids, bits) == expected ? times : nil
    }

    /// Measures the products of the model's four shapes of weights.
    public mutating func runProducts(_ precision: Precision, rows: [Int], seconds: Double, progress: () -> Void = {}) {
        let (hidden, intermediate) = (config.hidden.value, config.intermediate.value)
        for (inputs, outputs) in [(hidden, 3 * hidden), (hidden, hidden), (hidden, intermediate), (intermediate, hidden)] {
            let benchmark = ProductBenchmark(
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
            "peak": ["int8_gops": .number(peak.int8), "f32_gflops": .number(peak.f32)],
            "results": .array(
                results.map {
                    [
                        "precision": .string($0.precision.rawValue), "length": .integer($0.length), "batch": .integer($0.batch),
                        "threads": .integer($0.threads), "p50_ms": .number($0.latency.p50), "p90_ms": .number($0.latency.p90),
                        "p99_ms": .number($0.latency.p99), "min_ms": .number($0.minimum),
                        "tokens_per_second": .number($0.tokensPerSecond), "efficiency": .number($0.efficiency),
                    ]
                }),
            "products": .array(
                products.map {
                    [
                        "precision": .string($0.precision.rawValue), "rows": .integer($0.rows), "inputs": .integer($0.inputs),
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
