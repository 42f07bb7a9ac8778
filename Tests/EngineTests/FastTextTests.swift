import AllocationCounter
import Engine
import Foundation
import Testing

/// The small models that tools/make_fasttext_fixtures.py trained, a form each, and what the library predicts with them.
enum FastTextFixtures {
    static let names = [
        "softmax.bin", "ngrams.bin", "subwords.bin", "characters.bin", "version11.bin", "tree.bin", "one_label.bin",
        "one_vs_all.bin", "negative_sampling.bin", "no_end.bin", "quantized.ftz", "pruned.ftz", "labels.ftz",
        "labels_no_norm.ftz", "words.ftz",
    ]

    static func path(_ name: String) -> String { "\(Fixtures.directory)/fasttext/\(name)" }

    static func model(_ name: String) throws -> FastTextModel { try FastTextModel(path: path(name)) }

    static func records(_ path: String) throws -> [JSONValue] {
        try Fixtures.bytes(path).split(separator: 0x0A).map { try JSONValue(parsing: Array($0)) }
    }

    /// What the library says of a model.
    static func description(_ name: String) throws -> JSONValue {
        try #require(try records(path("models.jsonl")).first { $0["name"]?.string == name })
    }

    /// All texts for which the library's best labels are known, with these, the best first.
    static func predictions(_ name: String) throws -> [(text: String, best: [(label: Int, probability: Double)])] {
        let nasty = try records(Fixtures.directory + "/nasty_texts.jsonl").map { $0["text"]?.string }
        return try records(path("predictions.jsonl")).compactMap { record in
            guard let scores = record["scores"]?[name]?.array else { return nil }
            let text = try #require(record["text"]?.string ?? record["nasty"]?.integer.flatMap { nasty[$0] })
            return (
                text,
                try scores.map { score in
                    let pair = try #require(score.array)
                    return (try #require(pair[0].integer), try #require(pair[1].double))
                }
            )
        }
    }
}

extension FastTextModel {
    func rows(_ text: String) -> [Int] {
        var ids: [Int] = []
        Array(text.utf8).withUnsafeBufferPointer { encode($0, into: &ids) }
        return ids
    }
}

@Suite struct FastTextTests {
    @Test(arguments: FastTextFixtures.names)
    func `a model has the library's labels, size and loss`(_ name: String) throws {
        let model = try FastTextFixtures.model(name)
        let expected = try FastTextFixtures.description(name)
        let prefix = name == "no_end.bin" ? "" : "__label__"
        #expect(model.labels.map { prefix + $0 } == expected["labels"]?.array?.map(\.string))
        #expect(model.dimension == expected["dimension"]?.integer)
        #expect(model.isQuantized == expected["quantized"]?.bool)
        let losses: [String: FastTextModel.Loss] = [
            "softmax": .softmax, "hs": .hierarchicalSoftmax, "ova": .oneVsAll, "ns": .negativeSampling,
        ]
        #expect(model.loss == losses[try #require(expected["loss"]?.string)])
    }

    @Test(arguments: FastTextFixtures.names)
    func `a text gets the library's probabilities`(_ name: String) throws {
        let model = try FastTextFixtures.model(name)
        var scores = try model.makeScores()
        let predictions = try FastTextFixtures.predictions(name)
        #expect(predictions.count > 100)
        for (text, best) in predictions {
            let ids = model.rows(text)
            #expect(ids.isEmpty == best.isEmpty, "\(text.debugDescription)")
            model.predict(ids, into: &scores)
            #expect(scores.probabilities.allSatisfy { 0...1 ~= $0 } && scores.logits.allSatisfy(\.isFinite))
            for (label, probability) in best {
                let found = Double(scores.probabilities[label])
                #expect(abs(found - probability) < 1e-5, "\(text.debugDescription): \(model.labels[label])")
            }
            guard best.count > 1, best[0].probability - best[1].probability > 1e-5 else { continue }
            #expect(scores.probabilities.max() == scores.probabilities[best[0].label], "\(text.debugDescription)")
        }
    }

    @Test(arguments: ["subwords.bin", "characters.bin", "one_vs_all.bin"])
    func `words and subwords have the library's rows, in its order`(_ name: String) throws {
        let model = try FastTextFixtures.model(name)
        let texts = try #require(try FastTextFixtures.description(name)["rows"]?.array)
        #expect(texts.count >= 3)
        for text in texts {
            let expected = try #require(text["tokens"]?.array).map { [$0.array![0], $0.array![1]] }
            let found = model.tokens(try #require(text["text"]?.string))
            // The library does not tell the rows of groups of words, which come last.
            let words = found.prefix { !$0.token.contains(" ") }
            #expect(words.map { [.integer($0.id), .string($0.token)] } == expected)
            #expect(found.map(\.id) == model.rows(try #require(text["text"]?.string)))
        }
    }

    @Test func `groups of words follow the words, up to the longest`() throws {
        let tokens = try FastTextFixtures.model("ngrams.bin").tokens("good zzz\n __label__x bad")
        #expect(
            tokens.map(\.token) == [
                "good", "bad", "</s>", "good zzz", "good zzz bad", "zzz bad", "zzz bad </s>", "bad </s>",
            ])
        #expect(tokens.suffix(5).allSatisfy { $0.id >= tokens[0].id && $0.id >= 30 })
    }

    @Test(arguments: FastTextFixtures.names)
    func `logits and probabilities have the same bits on every instruction set`(_ name: String) throws {
        func bits(_ instructionSet: InstructionSet) throws -> [UInt32] {
            let model = try FastTextModel(path: FastTextFixtures.path(name), instructionSet: instructionSet)
            var scores = try model.makeScores()
            return try FastTextFixtures.predictions(name).prefix(60).flatMap { text, _ in
                model.predict(model.rows(text), into: &scores)
                return (scores.logits + scores.probabilities).map(\.bitPattern)
            }
        }
        let expected = try bits(InstructionSet.available[0])
        for instructionSet in InstructionSet.available.dropFirst() {
            #expect(try bits(instructionSet) == expected, "\(instructionSet.name)")
        }
    }

    @Test(arguments: ["subwords.bin", "pruned.ftz", "one_vs_all.bin"])
    func `what was predicted before does not change a result`(_ name: String) throws {
        let model = try FastTextFixtures.model(name)
        let texts = try FastTextFixtures.predictions(name).map(\.text)
        var warm = try model.makeScores()
        for text in texts { model.predict(model.rows(text), into: &warm) }
        for text in texts.prefix(60) {
            var fresh = try model.makeScores()
            model.predict(model.rows(text), into: &fresh)
            model.predict(model.rows(text), into: &warm)
            #expect(fresh.logits == warm.logits && fresh.probabilities == warm.probabilities, "\(text.debugDescription)")
        }
    }

    /// A mean depends on no order: only rounding tells a word's remembered sum from its rows taken one by one.
    @Test(arguments: ["subwords.bin", "pruned.ftz"])
    func `rows that stand as in no text are added up all the same`(_ name: String) throws {
        let model = try FastTextFixtures.model(name)
        var scores = try model.makeScores()
        for (text, _) in try FastTextFixtures.predictions(name).prefix(40) {
            let ids = model.rows(text)
            model.predict(ids, into: &scores)
            let expected = scores.probabilities
            for changed in [ids.reversed(), ids + ids, ids.sorted()] as [[Int]] {
                model.predict(changed, into: &scores)
                let difference = zip(scores.probabilities, expected).map { abs($0 - $1) }.max()!
                #expect(difference < 2e-6, "\(text.debugDescription)")
            }
            for count in ids.indices.prefix(12) { model.predict(Array(ids[..<count]), into: &scores) }
        }
    }

    @Test func `a text of which nothing is known leaves the labels of a softmax equal`() throws {
        let model = try FastTextFixtures.model("no_end.bin")
        var scores = try model.makeScores()
        for text in ["", "zzz", "\0 \n", "unknown words"] {
            #expect(model.rows(text) == [])
            model.predict([], into: &scores)
            #expect(scores.logits == [0, 0, 0])
            #expect(scores.probabilities.allSatisfy { abs($0 - 1 / 3) < 2e-5 } && Set(scores.probabilities).count == 1)
        }
    }

    @Test(.enabled(if: allocation_counter_works() != 0, "allocations are counted on glibc, without a sanitizer"))
    func `predictions allocate nothing once they are warm`() async {
        // In a process of its own, where nothing else allocates.
        await #expect(processExitsWith: .success) {
            for name in FastTextFixtures.names {
                let model = try FastTextFixtures.model(name)
                var scores = try model.makeScores()
                let texts = try FastTextFixtures.predictions(name).prefix(40).map { model.rows($0.text) }
                for ids in texts { model.predict(ids, into: &scores) }
                let before = allocation_counter_count()
                for ids in texts { model.predict(ids, into: &scores) }
                let count = allocation_counter_count() - before
                guard count == 0 else { fatalError("\(name): \(count) allocations") }
            }
            guard allocation_counter_count() > 100 else { fatalError("the counter does not count") }
        }
    }

    @Test func `exp and log are those of the C library but for the last bits`() {
        for step in -6990...6990 {
            let x = Double(step) / 10 + 0.0123
            #expect(abs(ReproducibleMath.exp(x) / exp(x) - 1) < 1e-13, "\(x)")
            let y = exp(x)
            #expect(abs(ReproducibleMath.log(y) - log(y)) < 1e-14 * max(1, abs(x)), "\(y)")
        }
        #expect(ReproducibleMath.exp(0) == 1 && ReproducibleMath.log(1) == 0)
        #expect(ReproducibleMath.exp(-.infinity) == 0 && ReproducibleMath.exp(.infinity) == .infinity)
        #expect(ReproducibleMath.exp(.nan).isNaN && ReproducibleMath.log(.nan).isNaN)
    }
}
