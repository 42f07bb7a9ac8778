import ArgumentParser
import Engine
import Foundation

struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures forward passes, from token ids to logits, against the arithmetic peak of this machine.",
        discussion: "Lists are separated by commas. The efficiency is that of the products with weights in the median pass.")

    @Option(help: "Uses random weights of this shape: roberta-base or minilm-l6.")
    var architecture: RandomModel?

    @OptionGroup var location: ModelLocation

    @Option(help: "int8, f32 or both.")
    var precision: CommaSeparated<Precision> = .init([.int8, .f32])

    @Option(help: "Lengths of the texts, in tokens (default: 8,16,32,64,128,256, up to the longest that the model reads).")
    var lengths: CommaSeparated<Int>?

    @Option(help: "Texts per pass.")
    var batch = 1

    @Option(help: "Thread counts (default: 1, and as many as the process may use).")
    var threads: CommaSeparated<Int>?

    @Option(help: "simd, or openblas for f32 (default: simd).")
    var backend: Backend?

    @Option(help: "How long to measure each figure.")
    var seconds = 0.5

    @Flag(help: "Also measures each product with the model's weights, on one thread, by rows.")
    var products = false

    @Option(help: "Writes the figures to this file, as JSON.")
    var report: String?

    func validate() throws {
        if architecture != nil, location.model != nil { throw ValidationError("Give --architecture or --model, not both.") }
        if let threads = threads?.values.first(where: { !(1...1024 ~= $0) }) {
            throw ValidationError("--threads must be from 1 to 1024, not \(threads).")
        }
        guard 1...8192 ~= batch else { throw ValidationError("--batch must be from 1 to 8192, not \(batch).") }
        guard seconds > 0, seconds <= 3600 else {
            throw ValidationError("--seconds must be from 0 to 3600, not \(seconds).")
        }
        if backend == .openblas, precision.values != [.f32] {
            throw ValidationError("--backend openblas has no int8 products; add --precision f32.")
        }
        if backend == .openblas, products { throw ValidationError("--products measures Apus' kernels, not OpenBLAS.") }
    }

    func run() async throws {
        var benchmark =
            if let architecture {
                try LatencyBenchmark(architecture, backend: backend)
            } else {
                try LatencyBenchmark(try await location.resolve(), backend: backend)
            }
        let lengths = lengths?.values ?? [8, 16, 32, 64, 128, 256].filter { $0 <= benchmark.maximumLength }
        try benchmark.check(lengths: lengths, batch: batch)
        let threads = threads?.values ?? Array(Set([1, ProcessorCount.available])).sorted()
        let productRows = [1, 8, 16, 32, 64, 128, 256]
        let total = precision.values.count * (threads.count * lengths.count + (products ? 4 * productRows.count : 0))
        var bar = ProgressBar(title: "bench")
        defer { bar.clear() }
        var done = 0
        func step() {
            done += 1
            bar.show(done, of: total)
        }
        for precision in precision.values {
            for threads in threads {
                try benchmark.run(
                    precision, threads: threads, lengths: lengths, batch: batch, seconds: seconds, progress: step)
            }
            if products {
                try benchmark.runProducts(precision, rows: productRows, seconds: seconds / 5, progress: step)
            }
        }
        bar.clear()
        if let note = InstructionSet.note { StandardError.write("apus: \(note)\n") }
        let cpu = ProcessorName.current
        if let report { try FileReplacement.write(benchmark.report(cpu: cpu).serialized(pretty: true) + [0x0A], to: report) }
        try StandardOutput.write(Array(table(benchmark, cpu: cpu).utf8))
    }

    private func table(_ benchmark: LatencyBenchmark, cpu: String) -> String {
        var lines = [
            "\(cpu), \(benchmark.instructionSet.name); peak of a core: "
                + String(format: "%.0f GOPS int8, %.0f GFLOPS f32", benchmark.peak.int8, benchmark.peak.f32),
            "",
            "precision  threads  tokens  texts      p50      p90      p99      min ms   tokens/s   of peak",
        ]
        for result in benchmark.results {
            let numbers = String(
                format: "%7d  %6d  %5d  %7.3f  %7.3f  %7.3f  %7.3f  %11.0f   %5.1f %%", result.threads, result.length,
                result.batch, result.latency.p50, result.latency.p90, result.latency.p99, result.minimum,
                result.tokensPerSecond, 100 * result.efficiency)
            lines.append(result.precision.rawValue.padding(toLength: 9, withPad: " ", startingAt: 0) + "  " + numbers)
        }
        if !benchmark.products.isEmpty {
            lines += ["", "product    rows  inputs  outputs   GOPS   of peak"]
            for product in benchmark.products {
                let numbers = String(
                    format: "%4d  %6d  %7d  %5.0f   %5.1f %%", product.rows, product.inputs, product.outputs, product.rate,
                    100 * product.efficiency)
                lines.append(product.precision.rawValue.padding(toLength: 9, withPad: " ", startingAt: 0) + "  " + numbers)
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension RandomModel: ExpressibleByArgument {}

/// `1,2,4`
struct CommaSeparated<Value: ExpressibleByArgument & Sendable>: ExpressibleByArgument, Sendable {
    let values: [Value]

    init(_ values: [Value]) { self.values = values }

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
        values = parts.compactMap { Value(argument: String($0)) }
        guard values.count == parts.count, !values.isEmpty else { return nil }
    }

    var defaultValueDescription: String { values.map(\.defaultValueDescription).joined(separator: ",") }
}
