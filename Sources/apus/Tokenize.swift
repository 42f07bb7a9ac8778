import ArgumentParser
import Engine

struct Tokenize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows texts as the model sees them: prepared, truncated, with special tokens. One JSON line a text.")

    @OptionGroup var model: ModelOptions
    @OptionGroup var input: TextInput

    func run() throws {
        let tokenizer = try model.tokenizer()
        let tokens = tokenizer.tokensByID()
        try input.forEachChunk { records, _ in
            var bytes: [UInt8] = []
            for (index, record) in records.enumerated() {
                let encoding: Encoding
                do {
                    encoding = try tokenizer.encode(record.text, index: index)
                } catch let error as TextError {
                    throw input.locate(error, in: records)
                }
                let line: JSONValue = [
                    "ids": .array(encoding.ids.map(JSONValue.integer)),
                    "tokens": .array(encoding.ids.map { .string(tokens[$0] ?? "") }),
                ]
                bytes += line.serialized() + [0x0A]
            }
            try StandardOutput.write(bytes)
        }
    }
}
