import Engine
import Foundation
import Testing

/// Logits against those of Hugging Face Transformers, written by tools/make_reference.py.
@Suite struct ModelTests {
    struct Reference {
        let inputs: [[Int]]
        let logits: [[Double]]

        init(_ name: String) throws {
            let json = try Fixtures.json(Fixtures.model(name) + "/reference.json")
            inputs = try #require(json["inputs"]?.array).map { try #require($0.array).compactMap(\.integer) }
            logits = try #require(json["logits"]?.array).map { try #require($0.array).compactMap(\.double) }
        }
    }

    /// The numbers' contract: within 1e-4 of Transformers'.
    private func expectClose(_ found: [Float], _ expected: [Double], _ place: String) {
        #expect(found.count == expected.count)
        for (found, expected) in zip(found, expected) { #expect(abs(Double(found) - expected) <= 1e-4, "\(place)") }
    }

    private func classifier(_ name: String, _ instructionSet: InstructionSet? = nil) throws -> Classifier {
        try Classifier(try ModelDirectory(path: Fixtures.model(name)), options: .init(instructionSet: instructionSet))
    }

    @Test(arguments: Fixtures.models, InstructionSet.available.map(\.name))
    func `each text alone has Transformers' logits, on every instruction set`(_ name: String, _ isa: String) throws {
        let reference = try Reference(name)
        #expect(reference.inputs.count >= 8)
        let classifier = try classifier(name, InstructionSet.available.first { $0.name == isa })
        for (ids, expected) in zip(reference.inputs, reference.logits) {
            expectClose(classifier.logits([ids])[0], expected, "\(ids.count) tokens")
        }
    }

    @Test(arguments: Fixtures.models)
    func `texts of all lengths in one batch, in any order, have the logits they have alone`(_ name: String) throws {
        let reference = try Reference(name)
        let classifier = try classifier(name)
        var order = Array(reference.inputs.indices)
        for _ in 0..<4 {
            order.append(order.removeFirst())
            order.swapAt(0, order.count / 2)
            var batch: [Int] = []
            for index in order where batch.reduce(0, { $0 + reference.inputs[$1].count }) + reference.inputs[index].count <= 1024 {
                batch.append(index)
            }
            #expect(batch.count > 4)
            let logits = classifier.logits(batch.map { reference.inputs[$0] })
            for (index, logits) in zip(batch, logits) { expectClose(logits, reference.logits[index], "in a batch") }
        }
    }

    @Test func `the shipped model knows good from bad, and nothing from neither`() throws {
        let classifier = try Classifier(try ModelDirectory.shipped())
        #expect(classifier.labels == ["negative", "neutral", "positive"])
        let texts = [
            "I love MLOps", "This is the worst phone I have ever had", "The meeting is at noon on Tuesday",
            "best day ever 😍", "so sad 😭 goodbye",
        ]
        let labels = try classifier.predict(texts).map(\.best.label)
        #expect(labels == ["positive", "negative", "neutral", "positive", "negative"])
    }

    @Test func `more texts than fit one pass come back in order, each as alone`() throws {
        let classifier = try classifier("bert-tiny")
        let texts = (0..<300).map { "word \($0) " + String(repeating: "again ", count: $0 % 40) }
        let together = try classifier.predict(texts)
        for (text, prediction) in zip(texts, together) {
            let alone = try classifier.predict([text])[0]
            for (a, b) in zip(alone.logits, prediction.logits) { #expect(abs(a - b) <= 1e-5) }
            #expect(abs(prediction.scores.map(\.value).reduce(0, +) - 1) < 1e-6)
        }
        #expect(try classifier.predict([String]()).isEmpty)
    }

    @Test func `a text longer than the model is cut off and says so`() throws {
        let prediction = try classifier("roberta-tiny").predict([String(repeating: "so good ", count: 200)])[0]
        #expect(prediction.isTruncated && prediction.tokens == 64)
    }

    @Test func `concurrent callers each get their own answers`() async throws {
        let classifier = try classifier("roberta-tiny")
        let texts = (0..<24).map { "text number \($0)" + String(repeating: "!", count: $0) }
        let expected = try texts.map { try classifier.predict([$0])[0].logits }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                for (text, logits) in zip(texts, expected) {
                    group.addTask {
                        let found = try classifier.predict([text])[0].logits
                        #expect(found == logits)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func `the instruction set can be forced by name, and a wrong name is an error`() throws {
        for available in InstructionSet.available {
            #expect(try InstructionSet.select(environment: ["APUS_FORCE_ISA": available.name]).name == available.name)
        }
        #expect(try InstructionSet.select(environment: [:]).name == InstructionSet.available.last?.name)
        #expect(
            message { _ = try InstructionSet.select(environment: ["APUS_FORCE_ISA": "mmx"]) }
                .hasPrefix("APUS_FORCE_ISA: mmx is unknown; known are scalar"))
    }
}
