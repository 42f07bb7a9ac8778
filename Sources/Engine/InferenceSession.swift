import Synchronization

/// A model in memory, ready for forward passes: token ids in, logits out. Usable from concurrent code; passes run one at a
/// time, and after the first ones they allocate nothing.
package final class InferenceSession: Sendable {
    package struct Options: Sendable {
        package let precision: Precision
        package let backend: Backend
        package fileprivate(set) var threads: Int
        package let instructionSet: InstructionSet
        package let runtime: TeamRuntime
        package let spreadsThreads: Bool

        package init(
            precision: Precision, backend: Backend, threads: Int, instructionSet: InstructionSet,
            runtime: TeamRuntime = .pthreads, spreadsThreads: Bool = false
        ) {
            self.precision = precision
            self.backend = backend
            self.threads = threads
            self.instructionSet = instructionSet
            self.runtime = runtime
            self.spreadsThreads = spreadsThreads
        }
    }

    /// The tokens of one pass that many texts are split into; a single text may have more.
    private static let usualBatchTokens = 1024

    static func batchTokens(_ config: ModelConfig) -> Int { max(usualBatchTokens, config.maximumTokens) }

    /// Its threads are those there are.
    package let options: Options
    package let checkpoint: Checkpoint
    /// The most tokens of one pass.
    package let batchTokens: Int
    private let team: Team
    private let thread = InferenceThread()
    /// Held during a pass.
    private let turn = Mutex(())
    private nonisolated(unsafe) let pass: ForwardPass

    package init(_ config: ModelConfig, _ checkpoint: Checkpoint, _ options: Options) throws(InputError) {
        self.checkpoint = checkpoint
        let format: Linear.Format =
            switch (options.precision, options.backend) {
            case (.int8, _): .int8
            case (.f32, .simd): .f32
            case (.f32, .openblas): .rows
            }
        let type = config.architecture.model
        let arena = Arena()
        var weights = WeightReader(
            checkpoint, isQuantized: config.isQuantized, format: format, on: options.instructionSet, into: arena)
        let model = try type.init(config, &weights)
        try weights.verifyAllUsed(except: type.ignores)

        if options.backend == .openblas { try OpenBLAS.required().setThreads(options.threads) }
        team = try Team(
            options.instructionSet, threads: options.backend == .openblas ? 1 : options.threads, runtime: options.runtime,
            spreads: options.spreadsThreads, in: arena)
        let teamThreads = team.count
        var options = options
        if options.backend != .openblas { options.threads = teamThreads }
        self.options = options
        batchTokens = Self.batchTokens(config)
        let scratch = try EncoderScratch(
            config, options.precision, on: options.instructionSet, tokens: batchTokens, threads: teamThreads, in: arena)
        let batchTokens = batchTokens
        var lanes: [Lane] = []
        for _ in 0..<(teamThreads > 1 ? teamThreads : 0) {
            let tokens = BatchSplit.chunkTokens(batch: batchTokens, longest: config.maximumTokens, threads: teamThreads)
            lanes.append(
                Lane(
                    batch: TokenBatch(type.positions(config), tokens: tokens),
                    scratch: try EncoderScratch(
                        config, options.precision, on: options.instructionSet, tokens: tokens, threads: 1, in: arena)))
        }
        pass = ForwardPass(
            model: model, team: team, batch: TokenBatch(type.positions(config), tokens: batchTokens), scratch: scratch,
            lanes: lanes, split: BatchSplit(texts: batchTokens, longest: config.maximumTokens, threads: teamThreads))
    }

    /// What there is to say of its threads: fewer than were asked for.
    package var note: String? { team.note }

    /// [texts][labels]; at least one text, none empty or longer than the model, all together within `batchTokens`.
    package func logits(_ ids: [[Int]]) -> [[Float]] {
        onInferenceThread {
            run(ids) { logits in (0..<logits.rows).map { Array(logits.row($0)) } }
        }
    }

    /// One pass; `body` reads the logits, [texts, labels], in place.
    package func run<Result>(_ ids: [[Int]], _ body: (Matrix) -> Result) -> Result {
        turn.withLock { _ in
            precondition(1...batchTokens ~= ids.reduce(0) { $0 + $1.count })
            pass.fill(ids)
            team.run(pass)
            return body(pass.scratch.logits.prefix(ids.count))
        }
    }

    /// Runs `body` where passes run: many of them in a row are spared the way there. A pass of one thread is the caller's.
    package func onInferenceThread<Result>(_ body: () -> Result) -> Result {
        guard team.count > 1 else { return body() }
        var result: Result?
        thread.run { result = body() }
        return result!
    }

    /// Runs `body` on the thread of passes, in the order in which it was brought, without waiting for its end.
    package func enqueue(_ body: @escaping @Sendable () -> Void) { thread.enqueue(body) }
}

/// What a thread needs that takes texts through the model by itself.
private final class Lane {
    var batch: TokenBatch
    let scratch: EncoderScratch

    init(batch: TokenBatch, scratch: EncoderScratch) {
        self.batch = batch
        self.scratch = scratch
    }
}

/// A model, what goes through it, and the memory of both: each text goes through one thread's lane, or all together through
/// every operation of all threads.
private final class ForwardPass: TeamTask {
    private let model: any SequenceClassifier
    private let team: Team
    private var batch: TokenBatch
    let scratch: EncoderScratch
    /// One a thread; none for a single thread.
    private let lanes: [Lane]
    private var split: BatchSplit
    private var texts: [[Int]] = []
    private var isSplit = false
    private let nextChunk = Atomic(0)

    init(
        model: any SequenceClassifier, team: Team, batch: TokenBatch, scratch: EncoderScratch, lanes: [Lane],
        split: BatchSplit
    ) {
        self.model = model
        self.team = team
        self.batch = batch
        self.scratch = scratch
        self.lanes = lanes
        self.split = split
    }

    func fill(_ ids: [[Int]]) {
        isSplit = !lanes.isEmpty && split.share(ids)
        if isSplit {
            texts = ids
            nextChunk.store(0, ordering: .relaxed)
        } else {
            batch.removeAll()
            for text in ids { batch.append(text) }
        }
    }

    func run(_ ops: Ops) {
        guard isSplit else { return model.forward(batch, scratch: scratch, ops) }
        let lane = lanes[ops.threadIndex]
        let alone = team.alone(ops)
        while true {
            let chunk = nextChunk.wrappingAdd(1, ordering: .relaxed).oldValue
            guard chunk < split.chunks.count else { return }
            let chosen = split.chunks[chunk]
            lane.batch.removeAll()
            for place in chosen { lane.batch.append(texts[split.order[place]]) }
            model.forward(lane.batch, scratch: lane.scratch, alone)
            for (row, place) in chosen.enumerated() {
                scratch.logits.setRow(split.order[place], to: lane.scratch.logits.row(row))
            }
        }
    }
}
