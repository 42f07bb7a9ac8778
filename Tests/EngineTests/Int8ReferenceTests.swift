import AllocationCounter
import Engine
import Testing

/// `int8_reference`: first tokens relative to that of an empty text.
@Suite struct Int8ReferenceTests {
    private static let models = [
        "bert-tiny", "roberta-tiny", "distilbert-tiny", "mpnet-tiny", "electra-tiny", "albert-tiny",
    ]
    private static let texts = [[0, 5, 6, 2], [0, 7, 2], [0, 8, 9, 4, 2], [3, 2], Array(repeating: 5, count: 60)]
        .map(Encoding.init(ids:))

    private func model(_ name: String) throws -> TemporaryDirectory {
        let folder = try TemporaryDirectory(model: name)
        try folder.setConfig("int8_reference", "empty_text")
        return folder
    }

    private func session(_ path: String, _ options: Classifier.Options) throws -> InferenceSession {
        try Classifier(model: path, options: options).session
    }

    @Test(arguments: ["bert-tiny", "roberta-tiny", "roberta-int8"])
    func `logits come nearer to those of f32`(_ name: String) throws {
        let folder = try model(name)
        let words = "good bad so it is a day of all the time not never happy sad what who love hate you me they great"
            .split(separator: " ")
        let texts = (0..<150).map { text in
            (0..<1 + text % 18).map { words[(text * 7 + $0 * 11 * (text + 3)) % words.count] }.joined(separator: " ")
        }
        func logits(_ path: String, _ precision: Precision) throws -> [Float] {
            try Classifier(model: path, options: .init(precision: precision)).predict(texts).flatMap(\.logits)
        }
        let exact = try logits(folder.path, .f32)
        func error(_ path: String) throws -> Float {
            zip(try logits(path, .int8), exact).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        }
        let (with, without) = (try error(folder.path), try error(Fixtures.model(name)))
        #expect(with < without, "\(with), \(without) without")
    }

    @Test(arguments: models)
    func `logits are the same bits on every instruction set, of any threads, alone and in a batch`(_ name: String) throws {
        let folder = try model(name)
        func bits(_ options: Classifier.Options, alone: Bool) throws -> [[UInt32]] {
            let session = try session(folder.path, options)
            let logits = alone ? Self.texts.map { session.logits([$0])[0] } : session.logits(Self.texts)
            return logits.map { $0.map(\.bitPattern) }
        }
        let expected = try bits(.init(precision: .int8, threads: 1), alone: true)
        #expect(
            expected
                != (try session(Fixtures.model(name), .init(precision: .int8, threads: 1)).logits(Self.texts)
                    .map { $0.map(\.bitPattern) }),
            "it changes something")
        for set in InstructionSet.available {
            for threads in [1, 3] {
                let found = try bits(.init(precision: .int8, threads: threads, instructionSet: set), alone: false)
                #expect(found == expected, "\(set.name), \(threads) threads")
            }
        }
    }

    @Test func `f32 has nothing of it, and an int8 checkpoint keeps it`() throws {
        let folder = try model("bert-tiny")
        func logits(_ path: String, _ precision: Precision) throws -> [[Float]] {
            try session(path, .init(precision: precision, threads: 1)).logits(Self.texts)
        }
        #expect(try logits(folder.path, .f32) == logits(Fixtures.model("bert-tiny"), .f32))
        let output = folder.path + "/int8"
        _ = try Quantization(try ModelDirectory(path: folder.path), to: output)
        #expect(try Fixtures.json(output + "/config.json")["int8_reference"]?.string == "empty_text")
        _ = try logits(output, .int8)
    }

    @Test func `what is not known, and an architecture that has it not, are refused`() throws {
        let folder = try model("bert-tiny")
        try folder.setConfig("int8_reference", "any")
        #expect(message { _ = try Classifier(model: folder.path) }.contains("int8_reference"))
        let modern = try model("modernbert-tiny")
        #expect(
            message { _ = try Classifier(model: modern.path) }
                == "config.json: int8_reference \"empty_text\" is not supported for ModernBertForSequenceClassification; "
                + "supported: none")
    }

    @Test(.enabled(if: allocation_counter_works() != 0, "allocations are counted on glibc, without a sanitizer"))
    func `a forward pass allocates nothing once it is warm`() async {
        await #expect(processExitsWith: .success) {
            for threads in [1, 2] {
                let folder = try TemporaryDirectory(model: "bert-tiny")
                try folder.setConfig("int8_reference", "empty_text")
                let session = try Classifier(model: folder.path, options: .init(precision: .int8, threads: threads)).session
                let texts = [[0, 7, 2], [0, 8, 9, 4, 2]].map(Encoding.init(ids:))
                let count = session.onInferenceThread {
                    for _ in 0..<3 { session.run(texts) { _ in } }
                    let before = allocation_counter_count()
                    for _ in 0..<100 { session.run(texts) { _ in } }
                    return allocation_counter_count() - before
                }
                guard count == 0 else { fatalError("\(threads) threads: \(count) allocations") }
            }
        }
    }
}
