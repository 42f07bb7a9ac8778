import Benchmark
import Foundation

/// What is measured: everything, or with APUS_BENCH=gate what `make bench-gate` compares with the stored baseline.
let benchmarks: @Sendable () -> Void = {
    Suite.printMachine()
    Suite.checkAllocationCounter()
    gemmBenchmarks()
    vectorBenchmarks()
    tokenizerBenchmarks()
    forwardPassBenchmarks()
    jsonBenchmarks()
    metricsBenchmarks()
    serverBenchmarks()
    processBenchmarks()
}

enum Suite {
    static let environment = ProcessInfo.processInfo.environment
    static let isGate = environment["APUS_BENCH"] == "gate"
    /// The names to measure, one a line; all where there are none.
    private static let only = Set((environment["APUS_BENCH_ONLY"] ?? "").split(separator: "\n").map(String.init))
    /// How long one benchmark goes on.
    static let seconds = isGate ? 0.4 : 1.0

    static func wants(_ name: String, gate: Bool) -> Bool {
        (only.isEmpty || only.contains(name)) && (gate || !isGate)
    }

    /// The folder with data that the repository does not have, or nil.
    static let data: String? = {
        let path = environment["APUS_DATA"] ?? "../shared/data"
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }()
}
