import ArgumentParser
import Engine

/// Texts from the command line, a file or standard input.
struct TextInput: ParsableArguments {
    @Argument(help: "Texts; without any, they come from --input.")
    var texts: [String] = []

    @Option(help: "A file, or - for standard input (the default).")
    var input: String?

    @Option(help: "text (one a line), jsonl, json, csv or tsv (default: by the file's name).")
    var inputFormat: RecordFormat?

    @Option(help: "The JSON field or the column that holds the text.")
    var textField = "text"

    @Option(help: "The JSON field or the column that holds a second text, for models that judge pairs.")
    var pairField = "text_pair"

    func validate() throws {
        if !texts.isEmpty, input != nil { throw ValidationError("Give texts or --input, not both.") }
        if ["label", "score", "scores", "labels", "windows", "logits"].contains(textField) || textField.hasPrefix("score_") {
            throw ValidationError(
                "--text-field \(textField) is the name of a field that is written; rename it in the input.")
        }
    }

    /// The input's format: as given, else by the file's name.
    func format() throws(InputError) -> RecordFormat {
        if let inputFormat { return inputFormat }
        guard let input, input != "-" else { return .text }
        return try RecordFormat(ofFile: input)
    }

    /// Calls `body` with up to 32 records at a time: fewer where the next would have to be waited for, so that a slow
    /// writer at the other end of a pipe sees each text answered.
    /// The last chunk, at the end, may be empty.
    func forEachChunk(_ title: String, _ body: ([Record], _ columns: [String]?) throws -> Void) throws {
        if !texts.isEmpty {
            return try body(texts.enumerated().map { Record(text: $1, line: $0 + 1) }, nil)
        }
        var reader = try RecordReader(path: input ?? "-", format: try format(), textField: textField, pairField: pairField)
        var chunk: [Record] = []
        var bar = ProgressBar(title: title)
        defer { bar.clear() }
        while true {
            let record: Record?
            do {
                record = try reader.next()
            } catch {
                // What was read before the bad record is answered first.
                if !chunk.isEmpty { try body(chunk, reader.columns) }
                throw error
            }
            if let record { chunk.append(record) }
            if record == nil || chunk.count == 32 || !reader.hasBuffered {
                try body(chunk, reader.columns)
                chunk = []
                bar.show(reader.bytesRead, of: reader.size ?? 0)
            }
            if record == nil { return }
        }
    }

    /// Predictions, or whatever `transform` makes of the texts, for the records up to the first that cannot be taken, and
    /// the error that says which one that was.
    func results<Result>(
        of records: [Record], _ transform: ([Record]) throws -> [Result]
    ) throws -> (results: [Result], error: InputError?) {
        do {
            return (try transform(records), nil)
        } catch let error as TextError {
            return (try transform(Array(records[..<error.index])), locate(error, in: records))
        }
    }

    /// Says which of the input's texts it was that could not be taken.
    private func locate(_ error: TextError, in records: [Record]) -> InputError {
        let source = input.flatMap { $0 == "-" ? nil : $0 } ?? "standard input"
        let place = texts.isEmpty ? "\(source), line \(records[error.index].line)" : "text \(error.index + 1)"
        return InputError(place, "the text \(error.problem)")
    }
}
