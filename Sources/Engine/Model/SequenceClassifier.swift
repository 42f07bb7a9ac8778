/// A transformer with a classification head: token ids in, logits out.
package protocol SequenceClassifier: Sendable {
    /// Every buffer of a forward pass but the logits.
    associatedtype Scratch

    /// The sizes in config.json, by the names and defaults of Transformers' configuration class.
    static func sizes(_ settings: ConfigSettings) throws(InputError) -> ModelConfig.Sizes

    /// What the names of the tensors below the head begin with (Transformers' `base_model_prefix`); checkpoints of the model
    /// without a head leave it out.
    static var prefix: String { get }

    /// Asks for every tensor that the architecture has: this is the one place where their names stand.
    init(_ config: ModelConfig, _ weights: inout WeightReader) throws(InputError)

    /// Tensors that its checkpoints may carry and that it has no use for.
    static func ignores(_ tensor: String) -> Bool

    static func positions(_ config: ModelConfig) -> TokenBatch.Positions

    func makeScratch(_ space: ScratchSpace) throws(InputError) -> Scratch

    /// Writes `logits`, [sequences, labels]. Every thread of the team calls it.
    func forward(_ batch: TokenBatch, scratch: Scratch, into logits: Matrix, _ ops: Ops)

    /// What the head read in the last pass: a vector a sequence, [at least sequences, hidden], in scratch that passes only write.
    func headInput(_ scratch: Scratch) -> Matrix
}

extension SequenceClassifier {
    package static func ignores(_ tensor: String) -> Bool { false }

    /// The most tokens of one text, special tokens included.
    static func maximumTokens(_ config: ModelConfig) -> Int {
        switch positions(config) {
        case .fromZero: config.positions.value
        case .afterPadding(let padID): config.positions.value - padID - 1
        }
    }
}

/// What a pass's buffers are made for, and in.
package struct ScratchSpace {
    let config: ModelConfig
    let precision: Precision
    let instructionSet: InstructionSet
    /// The most of one batch, and so the most sequences.
    let tokens: Int
    let threads: Int
    let arena: Arena

    /// [tokens, columns]
    func matrix(_ columns: Int) throws(InputError) -> Matrix { try Matrix(arena, tokens, columns) }

    /// [tokens, columns], for products.
    func activations(_ columns: Int) throws(InputError) -> Activations {
        try Activations(arena, tokens, columns, precision)
    }

    /// [threads, one head of the longest sequence]
    func attention() throws(InputError) -> Matrix {
        let headSize = config.hidden.value / config.heads
        return try Matrix(
            arena, threads, instructionSet.attentionScratch(keys: config.maximumTokens, headSize: headSize))
    }
}

/// Dense, an activation, projection onto the labels: what most architectures do with the classification token.
package struct ClassificationHead: Sendable {
    let dense: Linear
    let activation: Activation
    let projection: Linear

    /// - Parameters:
    ///   - dense, projection: the layers' names.
    init(
        _ config: ModelConfig, _ weights: inout WeightReader, dense: String, _ activation: Activation, projection: String
    ) throws(InputError) {
        self.dense = try weights.linear(dense, from: config.hidden, to: config.hidden)
        self.activation = activation
        self.projection = try weights.labelProjection(projection, from: config.hidden, to: config.labelCount)
    }

    /// logits [sequences, labels] from `first`, [sequences, hidden]; `pooled` is scratch of that shape.
    func callAsFunction(_ first: Activations, pooled: Activations, into logits: Matrix, _ ops: Ops) {
        let pooled = pooled.prefix(first.rows)
        ops.linear(first, dense, activation, into: pooled)
        ops.linear(pooled, projection, into: logits)
    }
}
