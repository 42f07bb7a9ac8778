import Benchmark
import Foundation

/// A figure of a benchmark: the framework shows it, and a line of APUS_BENCH_OUTPUT keeps its median.
/// Ratios are in thousandths, as the framework's figures are integers.
struct Figure: Hashable, Sendable {
    /// How far from the baseline's median a median may be: a share of it, and so much besides.
    struct Gate: Hashable, Sendable {
        let relative: Double
        var absolute = 0.0
    }

    let name: String
    /// Nil where the figure is shown only.
    let gate: Gate?
    let prefersLarger: Bool

    var metric: BenchmarkMetric {
        .custom(name, polarity: prefersLarger ? .prefersLarger : .prefersSmaller, useScalingFactor: false)
    }

    /// Of the arithmetic peak of one core, measured between the samples. On a busy machine 0.14 from run to run was the most.
    static let ofPeak = Figure(name: "of the peak, ‰", gate: .init(relative: 0.2), prefersLarger: true)
    /// The same, with what lies between a pass's products.
    static let ofPeakOfPass = Figure(name: "of the peak, ‰", gate: .init(relative: 0.3), prefersLarger: true)
    /// How many elements are done in the time of 1,000 operations at the f32 peak.
    static let elements = Figure(name: "elements in 1000 peak operations", gate: .init(relative: 0.3), prefersLarger: true)
    /// cblas_sgemm's time on one thread over ours.
    static let ofOpenBLAS = Figure(name: "of OpenBLAS' rate, ‰", gate: nil, prefersLarger: true)
    /// The scalar kernel's time over ours. Both are of one source, so that it says nothing of what slows down both.
    static let ofScalar = Figure(name: "of the scalar kernel's rate, ‰", gate: nil, prefersLarger: true)
    /// The time of decoding the texts' UTF-8 over the tokenizer's.
    static let ofWalk = Figure(name: "of a UTF-8 walk's rate, ‰", gate: .init(relative: 0.3), prefersLarger: true)
    /// Foundation's time over ours.
    static let ofFoundation = Figure(name: "of Foundation's rate, ‰", gate: .init(relative: 0.3), prefersLarger: true)
    /// What a request takes beyond its prediction without a server, over that; 0 would be a server that costs nothing.
    static let beyondEngine = Figure(
        name: "beyond the engine's time, ‰", gate: .init(relative: 0.3, absolute: 100), prefersLarger: false)
    /// Over the time of `apus --version`.
    static let ofVersion = Figure(name: "over apus --version, ‰", gate: nil, prefersLarger: false)
    static let peakMemory = Figure(name: "VmHWM, KiB", gate: nil, prefersLarger: false)
    static let perSecond = Figure(name: "texts a second", gate: nil, prefersLarger: true)
    /// Calls of the allocator.
    static let allocations = Figure(name: "allocations", gate: .init(relative: 0.02, absolute: 1), prefersLarger: false)
    static let noAllocations = Figure(name: "allocations", gate: .init(relative: 0), prefersLarger: false)
    /// Processor time of the thread (kernels, passes) or of the process (requests).
    static let nanoseconds = Figure(name: "processor time, ns", gate: nil, prefersLarger: false)
    static let wallNanoseconds = Figure(name: "wall clock, ns", gate: nil, prefersLarger: false)
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
            func percentile(_ share: Double) -> Double { sorted[Int((Double(sorted.count - 1) * share).rounded())] }
            var row: [String: Any] = [
                "figure": figure.name, "median": percentile(0.5), "p10": percentile(0.1), "p90": percentile(0.9),
                "samples": sorted.count, "prefers_larger": figure.prefersLarger,
            ]
            if let gate = figure.gate { (row["relative"], row["absolute"]) = (gate.relative, gate.absolute) }
            figures.append(row)
        }
        Output.write(["name": name, "figures": figures])
    }
}

/// Lines of JSON for tools/bench_lines.py.
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
