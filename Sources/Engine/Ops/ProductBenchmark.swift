/// One shape of product on one thread, with so many copies of the weights that they come from memory.
final class ProductBenchmark: TeamTask {
    private static let weightBytes = 128 << 20  // past any last-level cache that a core has to itself

    private let layers: [Linear]
    private let input: Matrix
    private let x: Activations
    private let y: Matrix
    private let arena = Arena()
    private let team: Team
    private var rows = 0
    private var next = 0

    init(_ precision: Precision, inputs: Int, outputs: Int, maximumRows: Int, _ instructionSet: InstructionSet)
        throws(InputError)
    {
        var random = SplitMix64(state: 1)
        let file = try MappedFile(named: "random", byteCount: 4 * outputs * (inputs + 1)) { memory in
            for index in memory.bindMemory(to: Float.self).indices {
                let value = Float(Int32(truncatingIfNeeded: random.next() >> 32)) * 0x1p-36
                memory.storeBytes(of: value, toByteOffset: 4 * index, as: Float.self)
            }
        }
        func tensor(_ rows: Int, _ columns: Int, from start: Int) -> StoredMatrix {
            let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[start..<start + 4 * rows * columns])
            return StoredMatrix(
                StoredTensor(type: .f32, shape: [rows, columns], bytes: bytes, file: file), rows: rows, columns: columns)
        }
        let weights = tensor(outputs, inputs, from: 0)
        let bias = try Vector([tensor(1, outputs, from: 4 * outputs * inputs)], in: arena)
        let bytes = (inputs + 8) * (outputs + Linear.panel) * (precision == .int8 ? 1 : 4)  // about, padding included
        var layers: [Linear] = []
        for _ in 0..<max(2, Self.weightBytes / bytes) {
            layers.append(
                try Linear(
                    [weights], bias: bias, format: precision == .int8 ? .int8 : .f32, on: instructionSet, in: arena))
        }
        self.layers = layers
        x = try Activations(arena, maximumRows, inputs, precision)
        input = try Matrix(arena, maximumRows, inputs)
        for index in 0..<maximumRows * inputs { input.base[index] = Float.random(in: -1...1, using: &random) }
        y = try Matrix(arena, maximumRows, outputs)
        team = try Team(instructionSet, threads: 1, in: arena)
    }

    func run(_ ops: Ops) {
        if next == 0 { ops.gatherFirst(input, of: (0..<input.rows).map { $0..<$0 + 1 }, into: x) }
        ops.linear(x.prefix(rows), layers[next % layers.count], into: y.prefix(rows))
        next += 1
    }

    /// Billions of operations a second of the median product.
    func rate(rows: Int, seconds: Double) -> Double {
        self.rows = rows
        next = 0
        team.run(self)
        let clock = ContinuousClock()
        var times: [Double] = []
        let start = clock.now
        while times.count < layers.count || clock.now - start < .seconds(seconds) {
            times.append(clock.measure { team.run(self) } / .seconds(1))
        }
        times.sort()
        return 2 * Double(rows * x.values.columns * y.columns) / times[times.count / 2] / 1e9
    }
}
