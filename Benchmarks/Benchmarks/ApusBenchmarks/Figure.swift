import Benchmark
import Foundation

/// A figure of a benchmark: the framework shows it, and a line of APUS_BENCH_OUTPUT keeps its median.
/// Ratios are in thousandths, as the framework's figures are integers.
struct Figure: Hashable, Sendable {
    /// How far from the baseline's median a median may be.
    enum Gate: Hashable, Sendable {
        /// It is shown only.
        case none
        /// A share of the baseline.
        case relative(Double)
        /// A share of the baseline, and one whole besides.
        case count(Double)
    }

    let name: String
    let gate: Gate
    let prefersLarger: Bool

    var metric: BenchmarkMetric {
        .custom(name, polarity: prefersLarger ? .prefersLarger : .prefersSmaller, useScalingFactor: false)
    }

    /// Over the arithmetic peak of one core, measured between the samples.
    static let ofPeak = Figure(name: "of the peak, ‰", gate: .relative(0.3), prefersLarger: true)
    /// cblas_sgemm's time on one thread over ours.
    static let ofOpenBLAS = Figure(name: "of OpenBLAS' rate, ‰", gate: .none, prefersLarger: true)
    /// The scalar kernel's time over ours.
    static let ofScalar = Figure(name: "of the scalar kernel's rate, ‰", gate: .relative(0.3), prefersLarger: true)
    /// The time of decoding the texts' UTF-8 over the tokenizer's.
    static let ofWalk = Figure(name: "of a UTF-8 walk's rate, ‰", gate: .relative(0.3), prefersLarger: true)
    /// Foundation's time over ours.
    static let ofFoundation = Figure(name: "of Foundation's rate, ‰", gate: .relative(0.3), prefersLarger: true)
    /// A request's time over what its prediction takes without a server; 1000 would be a server that costs nothing.
    static let ofEngine = Figure(name: "of the engine's time, ‰", gate: .relative(0.3), prefersLarger: false)
    /// Over the time of `apus --version`.
    static let ofVersion = Figure(name: "over apus --version, ‰", gate: .none, prefersLarger: false)
    static let peakMemory = Figure(name: "VmHWM, KiB", gate: .none, prefersLarger: false)
    static let perSecond = Figure(name: "texts a second", gate: .none, prefersLarger: true)
    /// Calls of the allocator.
    static let allocations = Figure(name: "allocations", gate: .count(0.02), prefersLarger: false)
    static let noAllocations = Figure(name: "allocations", gate: .count(0), prefersLarger: false)
    /// Processor time of the thread (kernels, passes) or of the process (requests).
    static let nanoseconds = Figure(name: "processor time, ns", gate: .none, prefersLarger: false)
    static let wallNanoseconds = Figure(name: "wall clock, ns", gate: .none, prefersLarger: false)
}

/// The samples of one benchmark.
final class Samples {
    private let name: String
    private var values: [Figure: [Double]] = [:]

    init(_ name: String) { self.name = name }

    func add(_ figure: Figure, _ value: Double, to benchmark: Benchmark) {
        benchmark.measurement(figure.metric, Int(value.rounded()))
        values[figure, default: []].append(value)
    }

    /// Drops what the warm-up brought.
    func removeAll() { values.removeAll() }

    func write() {
        if values.isEmpty { return }
        var figures: [[String: Any]] = []
        for (figure, samples) in values.sorted(by: { $0.key.name < $1.key.name }) {
            let sorted = samples.sorted()
            var row: [String: Any] = [
                "figure": figure.name, "median": sorted[sorted.count / 2], "p10": sorted[sorted.count / 10],
                "p90": sorted[sorted.count * 9 / 10], "samples": sorted.count, "prefers_larger": figure.prefersLarger,
            ]
            switch figure.gate {
            case .none: break
            case .relative(let share): (row["relative"], row["absolute"]) = (share, 0)
            case .count(let share): (row["relative"], row["absolute"]) = (share, share == 0 ? 0 : 1)
            }
            figures.append(row)
        }
        Output.write(["name": name, "figures": figures])
    }
}

/// Lines of JSON for tools/bench_report.py.
enum Output {
    static var isEmpty: Bool {
        guard let path = Suite.environment["APUS_BENCH_OUTPUT"] else { return true }
        return !FileManager.default.fileExists(atPath: path)
    }

    static func write(_ line: [String: Any]) {
        guard let path = Suite.environment["APUS_BENCH_OUTPUT"] else { return }
        var bytes = try! JSONSerialization.data(withJSONObject: line, options: [.sortedKeys, .withoutEscapingSlashes])
        bytes.append(UInt8(ascii: "\n"))
        if !FileManager.default.fileExists(atPath: path) { _ = FileManager.default.createFile(atPath: path, contents: nil) }
        guard let file = FileHandle(forWritingAtPath: path) else { fatalError("\(path) cannot be written") }
        file.seekToEndOfFile()
        file.write(bytes)
        file.closeFile()
    }
}
