import ArgumentParser
import Engine

struct Predict: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Labels texts.")

    @OptionGroup var model: ModelOptions
    @OptionGroup var input: TextInput

    @Option(
        help:
            "text (label, score, text, with tabs between), jsonl, csv or tsv (default: the input's format, jsonl for json).")
    var outputFormat: RecordFormat?

    @Flag(help: "Adds the model's logits to each line of jsonl.")
    var logits = false

    func run() async throws {
        let inputFormat = try input.format()
        let classifier = try await model.classifier()
        let output = PredictionWriter(
            format: outputFormat ?? inputFormat, textField: input.textField, pairField: input.pairField,
            labels: classifier.labels, writesLogits: logits
        )
        var isFirst = true
        try input.forEachChunk("predict") { records, columns in
            let (predictions, error) = try input.results(of: records) { records in
                var inputs: [Classifier.TextInput] = []
                for (index, record) in records.enumerated() {
                    inputs.append(try classifier.input(record.text, pair: record.pair, index: index))
                }
                return try classifier.predict(inputs)
            }
            var bytes = isFirst ? output.header(columns: columns) : []
            isFirst = false
            for (record, prediction) in zip(records, predictions) {
                bytes += output.line(record, prediction, columns: columns)
            }
            try StandardOutput.write(bytes)
            if let error { throw error }
        }
    }
}

/// A prediction as a line of text, JSON or CSV. The record's other fields stay; one with the name of a field written
/// here (label, score, scores) gives way.
struct PredictionWriter {
    let format: RecordFormat
    let textField: String
    let pairField: String
    let labels: [String]
    let writesLogits: Bool

    func header(columns: [String]?) -> [UInt8] {
        isTable ? row((columns ?? [textField]).filter { !added.contains($0) } + added) : []
    }

    func line(_ record: Record, _ prediction: Prediction, columns: [String]?) -> [UInt8] {
        switch format {
        case .text:
            // Scalar by scalar: a tab with an accent upon it is one Character, and no tab as such.
            var text = ""
            for scalar in record.text.unicodeScalars {
                switch scalar.value {
                case 0x09...0x0D, 0x85, 0x2028, 0x2029: text += " "
                default: text.unicodeScalars.append(scalar)
                }
            }
            return Array("\(prediction.best.label.printable)\t\(prediction.best.value)\t\(text)\n".utf8)
        case .jsonl, .json:
            var members = [JSONValue.Member(textField, .string(record.text))]
            if let pair = record.pair { members.append(.init(pairField, .string(pair))) }
            members += prediction.members
            if writesLogits { members.append(.init("logits", .array(prediction.logits.map(JSONValue.float)))) }
            let names = members.map(\.name)
            members += record.fields.filter { !names.contains($0.name) }
            return JSONValue.object(members).serialized() + [0x0A]
        case .csv, .tsv:
            let kept = (columns ?? [textField]).filter { !added.contains($0) }
            let cells = kept.map { name in
                name == textField
                    ? record.text
                    : name == pairField ? record.pair ?? "" : record.fields.last { $0.name == name }?.value.string ?? ""
            }
            return row(
                cells + [prediction.best.label, "\(prediction.best.value)"] + prediction.scores.map { "\($0.value)" })
        }
    }

    /// The columns behind the record's own: one a label with its score at the end.
    private var added: [String] { ["label", "score"] + labels.map { "score_\($0)" } }

    private var isTable: Bool { format == .csv || format == .tsv }

    private func row(_ cells: [String]) -> [UInt8] {
        let separator = format == .tsv ? "\t" : ","
        let quoted = cells.map { cell in
            let needsQuotes = cell.utf8.contains { [0x22, 0x0A, 0x0D, separator.utf8.first!].contains($0) }
            guard needsQuotes else { return cell }
            return "\"" + String(String.UnicodeScalarView(cell.unicodeScalars.flatMap { $0 == "\"" ? [$0, $0] : [$0] }))
                + "\""
        }
        return Array((quoted.joined(separator: separator) + "\n").utf8)
    }
}
