import ArgumentParser
import Engine
import Foundation

@main
struct Apus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus",
        abstract: "Sentiment analysis on CPUs: labels texts, measures models, serves them over HTTP.",
        version: apusVersion,
        subcommands: [
            Predict.self, Tokenize.self, Serve.self, SelfTestCommand.self, Evaluate.self, Compare.self, CompareRow.self,
            Calibrate.self, Quantize.self, PullCommand.self, ExportRecords.self, Bench.self,
        ])

    /// Exit codes: 0 fine, 1 a gate failed, 2 an input was bad, 64 usage, 70 a failure that is not the user's.
    static func main() async {
        if let failure = ThreadCheck.failure() {
            StandardError.write("apus: \(failure)\n")
            Foundation.exit(EX_SOFTWARE)
        }
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let error as InputError {
            fail(error, 2)
        } catch let error as TextError {
            fail(error, 2)
        } catch {
            // ArgumentParser's own (help, usage, a command's ExitCode) or a failure of ours, which is no failed gate.
            if !(error is ExitCode), exitCode(for: error) == .failure { fail(error, EX_SOFTWARE) }
            exit(withError: error)
        }
    }

    /// What a message quotes may be as long as a file.
    private static func fail(_ error: any Error, _ status: Int32) -> Never {
        StandardError.write("apus: \("\(error)".shortened(to: 1000).printable.shortened(to: 1000))\n")
        Foundation.exit(status)
    }
}
