import ArgumentParser
import Engine

struct Tokenize: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows texts as the model sees them: prepared, truncated, with special tokens. One JSON line a text.")

    @OptionGroup var model: ModelOptions
    @OptionGroup var input: TextInput

    func run() async throws {
        let tokens = try await model.tokens()
        try input.forEachChunk("tokenize") { records, _ in
            let (encodings, error) = try input.results(of: records) { records in
                try records.enumerated().map { try tokens($1.text, $0) }
            }
            var bytes: [UInt8] = []
            for encoding in encodings {
                let line: JSONValue = [
                    "ids": .array(encoding.map { .integer($0.id) }), "tokens": .array(encoding.map { .string($0.token) }),
                ]
                bytes += line.serialized() + [0x0A]
            }
            try StandardOutput.write(bytes)
            if let error { throw error }
        }
    }
}
