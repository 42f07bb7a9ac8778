import ArgumentParser
import Engine
import Foundation
import Server

struct SelfTestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "self-test",
        abstract:
            "Runs the self-test that apus serve runs before it opens its port. Exit code 1 if a check fails.")

    @OptionGroup var model: ModelOptions
    @OptionGroup var server: ServeOptions

    func run() async throws {
        let options = try server.options()
        let report = try await SelfTest(classifier: try await model.classifier(), options: options).run()
        let lines = report.checks.map { check in check.failure.map { "failed: \(check.name): \($0)" } ?? "ok: \(check.name)"
        }
        let seconds = String(format: "%.2f", report.duration / .seconds(1))
        let summary =
            "\(report.checks.count - report.failures.count) of \(report.checks.count) checks passed in \(seconds) s"
        try StandardOutput.write(Array((lines + [summary]).map { $0 + "\n" }.joined().utf8))
        if !report.failures.isEmpty { throw ExitCode(1) }
    }
}
