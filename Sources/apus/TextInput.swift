import ArgumentParser
import Engine

/// Texts from the command line, a file or standard input.
struct TextInput: ParsableArguments {
    @Argument(help: "Texts; without any, they come from --input.")
    var texts: [String] = []

    @Option(help: "A file, or - for standard input (the default).")
    var input: String?

    @Option(help: "text (one a line), jsonl or csv (default: by the file's name, else text).")
    var inputFormat: RecordFormat?

    @Option(help: "The JSON field or CSV column that holds the text.")
    var textField = "text"

    func validate() throws {
        if !texts.isEmpty, input != nil { throw ValidationError("Give texts or --input, not both.") }
    }

    /// The input's format: as given, else by the file's name.
    var format: RecordFormat {
        if let inputFormat { return inputFormat }
        guard let suffix = input?.split(separator: ".").last, suffix != "text" else { return .text }
        return RecordFormat(rawValue: String(suffix)) ?? .text
    }

    /// Calls `body` with up to 32 records at a time: fewer where the next would have to be waited for, so that a slow
    /// writer at the other end of a pipe sees each text answered.
    func forEachChunk(_ body: ([Record], _ columns: [String]?) throws -> Void) throws {
        if !texts.isEmpty {
            return try body(texts.enumerated().map { Record(text: $1, line: $0 + 1) }, nil)
        }
        var reader = try RecordReader(path: input ?? "-", format: format, textField: textField)
        var chunk: [Record] = []
        do {
            while let record = try reader.next() {
                chunk.append(record)
                if chunk.count == 32 || !reader.hasBuffered {
                    try body(chunk, reader.columns)
                    chunk = []
                }
            }
        } catch let error as InputError {
            // What was read before the bad record is answered first.
            if !chunk.isEmpty { try body(chunk, reader.columns) }
            throw error
        }
        if !chunk.isEmpty { try body(chunk, reader.columns) }
    }

    /// Says which of the input's texts it was that could not be taken.
    func locate(_ error: TextError, in records: [Record]) -> InputError {
        let place = texts.isEmpty ? "\(input ?? "standard input"), line \(records[error.index].line)" : "text \(error.index + 1)"
        return InputError(place, "the text \(error.problem)")
    }
}
