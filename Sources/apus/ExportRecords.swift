import ArgumentParser
import Engine
import Foundation
import Server

struct ExportRecords: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export-records",
        abstract: "Makes a data set of the texts that apus serve --record kept.",
        discussion: """
            A JSON object a line, as apus evaluate and tools/train.py read them: text (and text_pair), label, source (feedback \
            or model), and where it comes from: id, time, model, predicted, confidence. A text stands there once.
            """)

    @Argument(help: "The directory that apus serve --record writes to.")
    var directory: String

    @Option(help: "The file to write.")
    var output: String

    @Option(help: "Leaves out texts from before a day (UTC) or a time, such as 2026-11-28 or 2026-11-28T03:04:05Z.")
    var since: String?

    @Option(help: "Leaves out texts without feedback whose label the model gave a lower probability (default: 0.9).")
    var minConfidence: Double?

    @Flag(help: "Leaves out all texts without feedback.")
    var labelled = false

    func validate() throws {
        if labelled, minConfidence != nil {
            throw ValidationError(
                "--min-confidence is for labels of the model, which --labelled leaves out; give one of them.")
        }
        if let minConfidence, !(0...1 ~= minConfidence) {
            throw ValidationError("--min-confidence must be from 0 to 1, not \(minConfidence).")
        }
    }

    func run() throws {
        var export = try RecordExport(directory: directory)
        export.since = try since.map(Self.time)
        export.isLabelledOnly = labelled
        if let minConfidence { export.minimumConfidence = minConfidence }
        var bar = ProgressBar(title: "export-records", unit: .bytes)
        defer { bar.clear() }
        let description = try export.write(to: output) { bar.show($0, of: $1) }
        bar.clear()
        StandardError.write("apus: \(description.printable)\n")
    }

    private static func time(_ text: String) throws(InputError) -> Date {
        let day = Date.ISO8601FormatStyle().year().month().day()
        guard let time = (try? Date(text, strategy: .iso8601)) ?? (try? day.parse(text)) else {
            throw InputError("--since", "\"\(text)\" is not a time; give one like 2026-11-28 or 2026-11-28T03:04:05Z")
        }
        return time
    }
}
