import ArgumentParser
import Engine
import Foundation

struct Compare: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures models and precisions side by side: accuracy, latency, rate, size, memory, start.",
        discussion: """
            Each row is measured in a process of its own. The agreement is with the first row: the share of texts that get \
            the same label; McNemar's exact test says how likely as uneven a split of the texts that only one of both gets \
            right would be, were they equally good. A fastText model has one row, f32.
            """)

    @OptionGroup var data: DatasetOptions

    @Argument(help: "Model directories, fastText files or names on the Hub (default: the model inside the package).")
    var models: [String] = []

    @Option(help: "int8, f32 or both.")
    var precision: CommaSeparated<Precision> = .init([.int8, .f32])

    @Option(help: "Threads (default: what the process may use).")
    var threads: Int?

    @Flag(help: "Ignores the calibrations in the models' directories.")
    var raw = false

    @Option(help: "Writes the figures to this file, as JSON; tools/plot_compare.py draws it.")
    var report: String?

    func validate() throws {
        if let threads, !(1...1024 ~= threads) { throw ValidationError("--threads must be from 1 to 1024, not \(threads).") }
    }

    func run() async throws {
        var rows: [ComparisonRow] = []
        for model in models.isEmpty ? [nil] : models.map(Optional.some) {
            let directory = try await ModelLocation.resolve(model)
            for precision in directory.isFastText ? [.f32] : precision.values {
                rows.append(try row(model, directory, precision))
            }
        }
        let results = rows.map { $0.report(beside: rows[0]) }
        if let report {
            let json: JSONValue = [
                "cpu": .string(ProcessorName.current), "dataset": .string(data.dataset), "split": .string(data.split),
                "results": .array(results),
            ]
            try FileReplacement.write(json.serialized(pretty: true) + [0x0A], to: report)
        }
        try StandardOutput.write(Array(table(rows).utf8))
    }

    private func row(_ model: String?, _ directory: ModelDirectory, _ precision: Precision) throws -> ComparisonRow {
        var arguments = [
            CompareRow.configuration.commandName!, "--precision", precision.rawValue, "--started",
            "\(ComparisonRow.monotonicNanoseconds)",
        ]
        arguments += data.arguments
        if let model { arguments += ["--model", model] }
        if let threads { arguments += ["--threads", "\(threads)"] }
        if raw { arguments.append("--raw") }
        // The model is in the cache by now; asking the Hub again would count as its start.
        var environment = ["HF_HUB_OFFLINE": "1"]
        if let commit = directory.revision { environment["APUS_REVISION"] = commit }
        if directory.isFastText { environment["APUS_BACKEND"] = "" }
        let (status, output) = try ChildProcess.run(arguments, environment: environment)
        guard status <= 128 else {
            throw InputError(
                "\(directory.name), \(precision.rawValue)",
                "its process was killed by signal \(status - 128)"
                    + (status == 128 + SIGKILL ? "; was there too little memory?" : ""))
        }
        guard status == 0 else { throw ExitCode(status) }  // it has said why
        guard let row = ComparisonRow(message: output) else {
            throw InputError("apus compare", "a child process returned no result")
        }
        return row
    }

    private func table(_ rows: [ComparisonRow]) -> String {
        let names = rows.map(\.model)
        let width = max(5, names.map(\.count).max() ?? 0)
        func pad(_ text: String) -> String { text + String(repeating: " ", count: width - text.count) }
        let isa = rows[0].json["isa"]?.string ?? ""
        var lines = [
            "\(ProcessorName.current), \(isa); \(data.dataset), \(data.split): \(rows[0].predicted.count) texts",
            "",
            pad("model")
                + "  precision  threads  accuracy  macro recall  agreement  McNemar p  calib. error    p50 ms    texts/s  disk MB  memory MB  start ms",
        ]
        for (row, name) in zip(rows, names) {
            func figure(_ path: String) -> Double { row.figure(path) ?? .nan }
            let numbers = String(
                format: "  %7.0f  %7.2f %%     %7.2f %%  %7.2f %%  %9.4f  %12.4f  %8.3f  %9.0f  %7.1f  %9.1f  %8.0f",
                figure("threads"),
                100 * figure("accuracy"),
                100 * figure("macro_recall"), 100 * row.agreement(with: rows[0]),
                row.test(against: rows[0]).pValue, figure("calibration.expected_calibration_error"),
                figure("latency_ms.p50"),
                figure("texts_per_second"), figure("weights_bytes") / 1e6, figure("peak_memory_bytes") / 1e6,
                figure("cold_start_ms"))
            lines.append(pad(name) + "  " + row.precision.padding(toLength: 8, withPad: " ", startingAt: 0) + numbers)
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// One row of `apus compare`, in a process of its own.
struct CompareRow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "compare-row", shouldDisplay: false)

    @OptionGroup var data: DatasetOptions
    @OptionGroup var model: ModelOptions

    @Option var started: UInt64

    func run() async throws {
        ChildProcess.endWithParent()
        let classifier = try await model.classifier()
        let coldStart = try ComparisonRow.coldStart(classifier, text: "I love MLOps", started: started)
        let dataset = try data.dataset(for: classifier)
        var bar = ProgressBar(title: "\(classifier.directory.name), \(classifier.precision.rawValue)")
        defer { bar.clear() }
        do {
            let row = try ComparisonRow(measuring: classifier, on: dataset, coldStart: coldStart) { bar.show($0, of: $1) }
            try StandardOutput.write(row.message)
        } catch let error as TextError {
            throw dataset.locate(error)
        }
    }
}
