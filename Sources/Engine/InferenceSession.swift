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
    let sketch: EmbeddingSketch
    private let team: Team
    private let workers: InferenceWorkers
    /// The memory of the weights and the passes; nothing else keeps it.
    private let arena = Arena()
    private nonisolated(unsafe) let pass: any ModelPass

    /// - Parameters:
    ///   - workers: shared with other models; nil for its own.
    ///   - emptyText: for models that take first tokens relative to that of an empty text (`ModelConfig`).
    ///   - recorder: of the products' inputs; of one thread.
    package init(
        _ config: ModelConfig, _ checkpoint: Checkpoint, _ options: Options, workers: InferenceWorkers? = nil,
        emptyText: Encoding? = nil, recorder: InputRecorder? = nil
    ) throws(InputError) {
        try checkpoint.checkMemory(options.precision, vocabulary: config.vocabulary.value)
        let workers = workers ?? InferenceWorkers()
        self.workers = workers
        self.checkpoint = checkpoint
        batchTokens = Self.batchTokens(config)
        sketch = EmbeddingSketch(width: config.hidden.value)
        let format: Linear.Format =
            switch (options.precision, options.backend) {
            case (.int8, _): .int8
            case (.f32, .simd): .f32
            case (.f32, .openblas): .rows
            }
        var weights = try WeightReader(
            checkpoint, config, format: format, on: options.instructionSet, into: arena, recorder: recorder)
        let model = try config.architecture.model.init(config, &weights)
        let leftovers = try weights.verifyAllUsed()

        if options.backend == .openblas { try OpenBLAS.required().setThreads(options.threads) }
        team = try workers.team(options)
        var options = options
        if options.backend != .openblas { options.threads = team.count }
        self.options = options
        pass = try Self.makePass(
            model, config, options, batchTokens: batchTokens, team: team, in: arena)
        if config.hasInt8Reference, options.precision == .int8, let emptyText, !emptyText.ids.isEmpty {
            let pass = pass
            pass.fill([emptyText])
            try Team.runOnce(on: options.instructionSet) { pass.writeReferences($0) }
        }
        let unused =
            leftovers.isEmpty
            ? nil : "\(checkpoint.name) has tensors of another head, which are not used: \(leftovers.listed)"
        let notes = [config.note, unused, team.note].compactMap(\.self)
        note = notes.isEmpty ? nil : notes.joined(separator: "; ")
    }

    private static func makePass<Model: SequenceClassifier>(
        _ model: Model, _ config: ModelConfig, _ options: Options, batchTokens: Int, team: Team, in arena: Arena
    ) throws(InputError) -> any ModelPass {
        func lane(tokens: Int, threads: Int) throws(InputError) -> Lane<Model> {
            let space = ScratchSpace(
                config: config, precision: options.precision, instructionSet: options.instructionSet, tokens: tokens,
                threads: threads, arena: arena)
            return Lane(
                batch: TokenBatch(Model.positions(config), secondOffset: config.secondTypeOffset, tokens: tokens),
                scratch: try model.makeScratch(space),
                logits: try space.matrix(config.labels.count))
        }
        var lanes: [Lane<Model>] = []
        for _ in 0..<(team.count > 1 ? team.count : 0) {
            let tokens = BatchSplit.chunkTokens(batch: batchTokens, longest: config.maximumTokens, threads: team.count)
            lanes.append(try lane(tokens: tokens, threads: 1))
        }
        return ForwardPass(
            model: model, team: team, whole: try lane(tokens: batchTokens, threads: team.count), lanes: lanes,
            split: BatchSplit(texts: batchTokens, longest: config.maximumTokens, threads: team.count))
    }

    /// What there is to say of the model and its threads: tensors of no use, fewer threads than were asked for.
    package let note: String?

    /// [texts][labels]; at least one text, none empty or longer than the model, all together within `batchTokens`.
    package func logits(_ texts: [Encoding]) -> [[Float]] {
        onInferenceThread {
            run(texts) { logits in (0..<logits.rows).map { Array(logits.row($0)) } }
        }
    }

    /// As `logits`, and beside them a sketch of what each text's came from.
    func outputs(_ texts: [Encoding]) -> [(logits: [Float], sketch: EmbeddingSketch.Vector)] {
        onInferenceThread {
            run(texts) { logits in
                let inputs = pass.headInputs
                return (0..<logits.rows).map { (Array(logits.row($0)), sketch(inputs.row($0))) }
            }
        }
    }

    /// One pass; `body` reads the logits, [texts, labels], in place.
    package func run<Result>(_ texts: [Encoding], _ body: (Matrix) -> Result) -> Result {
        workers.turn.withLock { _ in
            precondition(1...batchTokens ~= texts.reduce(0) { $0 + $1.ids.count })
            pass.fill(texts)
            team.run(pass)
            return body(pass.logits.prefix(texts.count))
        }
    }

    /// Runs `body` where passes run: many of them in a row are spared the way there. A pass of one thread is the caller's.
    package func onInferenceThread<Result>(_ body: () -> Result) -> Result {
        guard team.count > 1 else { return body() }
        var result: Result?
        workers.thread.run { result = body() }
        return result!
    }

    /// Runs `body` on the thread of passes, in the order in which it was brought, without waiting for its end.
    package func enqueue(_ body: @escaping @Sendable () -> Void) { workers.thread.enqueue(body) }

    /// Runs `body` on the caller's thread, where that of passes has nothing to do; OpenMP wants its own.
    package func runHere(_ body: () -> Void) -> Bool { options.runtime == .pthreads && workers.thread.runHere(body) }
}

/// What goes through a model of whatever architecture, in turn.
private protocol ModelPass: TeamTask {
    /// Of the texts of the last run, in order.
    var logits: Matrix { get }
    /// What they were computed from, [texts, hidden].
    var headInputs: Matrix { get }

    func fill(_ texts: [Encoding])

    /// The one text's first token becomes the products' reference. Of one thread.
    func writeReferences(_ ops: Ops)
}

/// Texts on their way through a model, and the memory for it.
private final class Lane<Model: SequenceClassifier> {
    var batch: TokenBatch
    let scratch: Model.Scratch
    let logits: Matrix  // [texts, labels]

    init(batch: TokenBatch, scratch: Model.Scratch, logits: Matrix) {
        self.batch = batch
        self.scratch = scratch
        self.logits = logits
    }

    func forward(_ model: Model, _ ops: Ops) {
        model.forward(batch, scratch: scratch, into: logits.prefix(batch.sequences.count), ops)
    }
}

/// A model, what goes through it, and the memory of both: each text goes through one thread's lane, or all together through
/// every operation of all threads.
private final class ForwardPass<Model: SequenceClassifier>: ModelPass {
    private let model: Model
    private let team: Team
    private let whole: Lane<Model>
    /// One a thread; none for a single thread.
    private let lanes: [Lane<Model>]
    private var split: BatchSplit
    private var texts: [Encoding] = []
    private var isSplit = false
    private let nextChunk = Atomic(0)

    init(model: Model, team: Team, whole: Lane<Model>, lanes: [Lane<Model>], split: BatchSplit) {
        self.model = model
        self.team = team
        self.whole = whole
        self.lanes = lanes
        self.split = split
    }

    var logits: Matrix { whole.logits }
    var headInputs: Matrix { model.headInput(whole.scratch) }

    func fill(_ texts: [Encoding]) {
        isSplit = !lanes.isEmpty && split.share(texts)
        if isSplit {
            self.texts = texts
            nextChunk.store(0, ordering: .relaxed)
        } else {
            whole.batch.removeAll()
            for text in texts { whole.batch.append(text) }
        }
    }

    func writeReferences(_ ops: Ops) {
        precondition(!isSplit)
        whole.forward(model, ops.writingReferences)
    }

    func run(_ ops: Ops) {
        guard isSplit else { return whole.forward(model, ops) }
        let lane = lanes[ops.threadIndex]
        let alone = team.alone(ops)
        while true {
            let chunk = nextChunk.wrappingAdd(1, ordering: .relaxed).oldValue
            guard chunk < split.chunks.count else { return }
            let chosen = split.chunks[chunk]
            lane.batch.removeAll()
            for place in chosen { lane.batch.append(texts[split.order[place]]) }
            lane.forward(model, alone)
            for (row, place) in chosen.enumerated() {
                logits.setRow(split.order[place], to: lane.logits.row(row))
                headInputs.setRow(split.order[place], to: model.headInput(lane.scratch).row(row))
            }
        }
    }
}
