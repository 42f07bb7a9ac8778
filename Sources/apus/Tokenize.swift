import ArgumentParser
import Engine

struct Tokenize: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows texts as the model sees them: prepared, truncated, with special tokens. One JSON line a text.")

    @OptionGroup var model: ModelOptions
    @OptionGroup var input: TextInput

    func run() async throws {
        let tokenizer = try await model.tokenizer()
        let tokens = tokenizer.tokensByID()
        try input.forEachChunk("tokenize") { records, _ in
            let (encodings, error) = try input.results(of: records) { records in
                try records.enumerated().map { try tokenizer.encode($1.text, index: $0) }
            }
            var bytes: [UInt8] = []
            for encoding in encodings {
                let line: JSONValue = [
                    "ids": .array(encoding.ids.map(JSONValue.integer)),
                    "tokens": .array(encoding.ids.map { .string(tokens[$0] ?? "") }),
                ]
                bytes += line.serialized() + [0x0A]
            }
            try StandardOutput.write(bytes)
            if let error { throw error }
        }
    }
}
