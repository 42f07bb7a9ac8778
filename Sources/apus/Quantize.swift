import ArgumentParser
import Engine
import Foundation

struct Quantize: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes a model's int8 form: a directory of the same kind, about a quarter as large.",
        discussion: "The format is that of compressed-tensors, which Transformers opens where that package is installed.")

    @OptionGroup var model: ModelLocation

    @Option(help: "The directory to write; nothing may be there yet, or an empty one.")
    var output: String

    @Option(
        help: """
            A file of texts like those to come (a text a line, or the field "text" of .jsonl, .csv or .tsv; a thousand or two \
            will do, labels are not needed): weights are rounded so that their products keep their values.
            """)
    var calibration: String?

    func run() async throws {
        let model = try await model.resolve()
        let result = try Quantization(model, to: output, calibration: try calibrationTexts())
        let summary = String(
            format: "%.1f MB of %.1f MB (%.1f %%), %d matrices in int8", Double(result.bytes) / 1e6,
            Double(result.originalBytes) / 1e6, 100 * Double(result.bytes) / Double(result.originalBytes), result.matrices)
        try StandardOutput.write(Array("\(output): \(summary)\n".utf8))
        if FileManager.default.fileExists(atPath: model.file(Calibration.fileName)) {
            StandardError.write(
                "apus: \(Calibration.fileName) is not carried over: it was fitted on the model's own weights. Fit one for the "
                    + "new ones: apus calibrate --model \(output.printable) --dataset …\n")
        }
    }

    private func calibrationTexts() throws(InputError) -> [Record] {
        guard let calibration else { return [] }
        var reader = try RecordReader(path: calibration, format: try RecordFormat(ofFile: calibration))
        var texts: [Record] = []
        while let record = try reader.next() { texts.append(record) }
        guard !texts.isEmpty else { throw InputError(calibration, "has no texts; give a thousand or two") }
        return texts
    }
}
