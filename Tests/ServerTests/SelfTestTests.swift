import Engine
import Foundation
import Server
import Testing

@Suite struct SelfTestTests {
    /// The shipped model's directory, with some of its files written anew.
    private func withModel(_ files: [String: String], _ body: (Classifier) async throws -> Void) async throws {
        let shipped = try ModelDirectory.shipped().path
        let folder = NSTemporaryDirectory() + "apus-model-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for name in try FileManager.default.contentsOfDirectory(atPath: shipped) {
            if let text = files[name] {
                try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
            } else {
                try FileManager.default.createSymbolicLink(
                    atPath: "\(folder)/\(name)", withDestinationPath: "\(shipped)/\(name)")
            }
        }
        try await body(try Classifier(try ModelDirectory(path: folder)))
    }

    @Test func `the shipped model passes, with every reference text`() async throws {
        let report = try await SelfTest(classifier: try Support.classifier.get()).run()
        #expect(report.failures.isEmpty, "\(report.failures)")
        #expect(report.checks.count { $0.name.hasPrefix("\"") } == 12)
    }

    @Test func `it passes with an API key and with the smallest limits`() async throws {
        var options = ServerOptions()
        options.access.apiKey = "key"
        options.access.protectsEverything = true
        (options.limits.clientBatch, options.limits.queuedTexts, options.limits.batchTokens) = (1, 1, 1)
        options.limits.bodyBytes = 400
        let report = try await SelfTest(classifier: try Support.classifier.get(), options: options).run()
        #expect(report.failures.isEmpty, "\(report.failures)")
        #expect(report.checks.contains { $0.name == "a request without the API key is a 401" })
    }

    @Test func `a model that labels a reference text otherwise fails, by name`() async throws {
        let texts = #"{"text":"I love it","label":"positive"}"# + "\n" + #"{"text":"I hate it","label":"positive"}"# + "\n"
        try await withModel(["reference_texts.jsonl": texts]) { classifier in
            let report = try await SelfTest(classifier: classifier).run()
            #expect(report.failures.map(\.name) == ["\"I hate it\" is positive"])
            #expect(report.failures[0].failure == "the label is now negative")
        }
    }

    @Test func `damaged reference files are named at once`() async throws {
        try await withModel(["reference_texts.jsonl": "{\"text\":\"a\"}\n"]) { classifier in
            #expect(throws: InputError.self) { try SelfTest(classifier: classifier) }
        }
        for file in ["reference_profile.json", "evaluation_report.json"] {
            try await withModel([file: "{"]) { classifier in
                let error = #expect(throws: InputError.self) { try ApusServer(classifier: classifier) }
                #expect(error?.subject.hasSuffix(file) == true && error?.problem.hasPrefix("is not JSON") == true)
            }
        }
    }
}
