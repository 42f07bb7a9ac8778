import ArgumentParser
import Engine
import Foundation

@main
struct Apus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus",
        abstract: "Sentiment analysis on CPUs: labels texts, measures models, serves them over HTTP.",
        version: apusVersion,
        subcommands: [Predict.self, Tokenize.self, Serve.self, Evaluate.self])

    /// Exit codes: 0 fine, 1 a gate failed, 2 an input was bad, 64 usage.
    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let error as InputError {
            fail(error)
        } catch let error as TextError {
            fail(error)
        } catch {
            exit(withError: error)
        }
    }

    private static func fail(_ error: any Error) -> Never {
        FileHandle.standardError.write(Data("apus: \(error)\n".utf8))
        Foundation.exit(2)
    }
}
