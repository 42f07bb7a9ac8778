import Benchmark
import Engine

/// Forward passes of one text, on one thread: the products with weights over the peak in the same run.
func forwardPassBenchmarks() {
    for precision in [Precision.int8, .f32] {
        for length in [8, 32, 128] {
            measure(
                "MiniLM, \(precision.rawValue), \(length) tokens",
                [.ofPeakOfPass, .noAllocations, .nanoseconds, .wallNanoseconds]
            ) {
                let directory = try ModelDirectory.shipped()
                return try pass(
                    ModelConfig(directory: directory.path), Checkpoint.open(directory: directory.path), precision, length,
                    checksAll: true)
            }
            // A second of making half a gigabyte of weights each: the gate has one.
            let gate = length == 32 && precision == .int8
            measure(
                "RoBERTa-base, \(precision.rawValue), \(length) tokens",
                [.ofPeakOfPass, .noAllocations, .nanoseconds, .wallNanoseconds], gate: gate, seconds: 5 * Suite.seconds
            ) {
                try pass(
                    RandomModel.robertaBase.config, RandomModel.robertaBase.checkpoint(), precision, length, checksAll: false
                )
            }
        }
    }
}

private func pass(
    _ config: ModelConfig, _ checkpoint: Checkpoint, _ precision: Precision, _ length: Int, checksAll: Bool
) throws -> Sample {
    func session(_ instructionSet: InstructionSet) throws -> InferenceSession {
        try InferenceSession(
            config, checkpoint,
            .init(precision: precision, backend: .simd, threads: 1, instructionSet: instructionSet))
    }
    let own = try session(try InstructionSet.select())
    var random = SplitMix64(state: UInt64(length))
    let ids = [Encoding(ids: (0..<length).map { _ in Int.random(in: 0..<config.vocabulary.value, using: &random) })]
    let logits = own.logits(ids)[0]
    try expect(logits.allSatisfy(\.isFinite), "the logits are \(logits)")
    // The scalar kernels are the specification: the same bits. RoBERTa-base on them takes too long for every run.
    if checksAll || (length == 8 && !Suite.isGate) {
        let expected = try session(InstructionSet.available[0]).logits(ids)[0]
        try expect(expected == logits, "the logits are \(logits), of the scalar kernels \(expected)")
    }
    let kernels = KernelRow.selected.kernels
    let peak = PeakRate(precision == .int8 ? kernels.peak_u8s8 : kernels.peak_f32)
    let operations = config.weightOperations(tokens: length, texts: 1)
    let body = { own.run(ids) { logits in blackHole(logits.row(0)[0]) } }
    let sample = compare(Repeated(body), with: peak, .ofPeakOfPass, amount: operations)
    let clock = ContinuousClock()
    return { record in
        record(.noAllocations, allocations(body))
        record(.wallNanoseconds, clock.measure(body) / .nanoseconds(1))
        sample(record)
    }
}

extension ModelConfig {
    /// Multiplications and additions of the products with weights, as `apus bench` counts them: the last layer has keys and
    /// values of all tokens, everything else of one token a text.
    fileprivate func weightOperations(tokens: Int, texts: Int) -> Double {
        let (hidden, intermediate) = (hidden.value, intermediate.value)
        let whole = tokens * (4 * hidden * hidden + 2 * hidden * intermediate)
        let last = tokens * 2 * hidden * hidden + texts * (2 * hidden * hidden + 2 * hidden * intermediate)
        let head = texts * (hidden * hidden + hidden * labels.count)
        return 2 * Double((layers - 1) * whole + last + head)
    }
}
