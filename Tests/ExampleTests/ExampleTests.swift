import Engine
import Foundation
import Testing

@Suite struct ExampleTests {
    @Test func `the README shows the example that is compiled here, and it says what it should`() throws {
        let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let example = try String(contentsOf: here.appendingPathComponent("EmbeddingExample.swift"), encoding: .utf8)
        let readme = try String(contentsOf: here.appendingPathComponent("../../README.md"), encoding: .utf8)
        let shown = try #require(example.range(of: "import Engine")).lowerBound
        #expect(readme.contains(example[shown...]))
        let moods = try moods(of: ["I love MLOps", "I hate Mondays"])
        #expect(moods.map { $0.split(separator: " ")[0] } == ["positive", "negative"])
    }

    @Test func `one classifier answers concurrent callers`() async throws {
        let classifier = try Classifier(options: .init(precision: .int8, threads: 2))
        let texts = (0..<12).map { "what a day, number \($0) 😍" }
        let expected = try classifier.predict(texts)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (text, expected) in zip(texts, expected) {
                group.addTask {
                    let found = try classifier.predict([text])
                    #expect(found == [expected])
                }
            }
            try await group.waitForAll()
        }
    }
}
