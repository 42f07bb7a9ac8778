import Engine
import Testing

@Suite struct ScoreCacheTests {
    private static let texts = (0..<60).map { "text number \($0) is \($0 % 7 == 0 ? "good" : "long and bad")" }

    private static func bits(_ predictions: [Prediction]) -> [[UInt32]] {
        predictions.map { ($0.logits + $0.scores.map(\.value)).map(\.bitPattern) }
    }

    @Test(arguments: ["roberta-tiny", "bert-tiny", "deberta-tiny"])
    func `answers are the same bits, with a cache of any size, in any order, however often a text stands there`(
        name: String
    ) throws {
        let directory = try ModelDirectory(path: Fixtures.model(name))
        let plain = try Classifier(directory, options: .init(threads: 1))
        var expected: [String: [UInt32]] = [:]
        for text in Self.texts { expected[text] = Self.bits(try plain.predict([text]))[0] }
        for bytes in [0, 1, 400, 3000, 1 << 20] {
            var generator = SplitMix64(state: UInt64(bytes))
            let classifier = try Classifier(directory, options: .init(threads: 1, cacheBytes: bytes))
            for _ in 0..<40 {
                let batch = (0..<(1 + Int(generator.next() % 9))).map { _ in Self.texts[Int(generator.next() % 60)] }
                let found = Self.bits(try classifier.predict(batch))
                for (text, bits) in zip(batch, found) { #expect(bits == expected[text], "\(bytes) bytes, \(text)") }
            }
            // 400 bytes hold one text at most, 3,000 some of the sixty, a million all of them.
            #expect((classifier.cacheHits > 0) == (bytes >= 3000), "\(bytes) bytes, \(classifier.cacheHits) hits")
        }
    }

    @Test func `what was used least recently makes room, and what is in use stays`() throws {
        let directory = try ModelDirectory(path: Fixtures.model("roberta-tiny"))
        let classifier = try Classifier(directory, options: .init(threads: 1, cacheBytes: 4000))
        func isKnown(_ text: String) throws -> Bool {
            try classifier.cachedPredictions(try classifier.input(text).encodings) != nil
        }
        _ = try classifier.predict(["the one that stays"])
        for text in Self.texts {
            _ = try classifier.predict([text])
            #expect(try isKnown(text))
            #expect(try isKnown("the one that stays"))
        }
        #expect(try !isKnown(Self.texts[0]))
        // All or nothing, and nothing counted where one is missing.
        let hits = classifier.cacheHits
        let encodings = try [Self.texts[0], "the one that stays"].flatMap { try classifier.input($0).encodings }
        #expect(try classifier.cachedPredictions(encodings) == nil && classifier.cacheHits == hits)
    }

    @Test func `the same ids of a text that was cut and of one that was not are told apart`() throws {
        let directory = try ModelDirectory(path: Fixtures.model("roberta-tiny"))
        let classifier = try Classifier(directory, options: .init(threads: 1, cacheBytes: 1 << 20))
        let limit = try #require(classifier.maximumTokens)
        let long = Array(repeating: "a", count: 2 * limit).joined(separator: " ")
        let cut = try classifier.predict([long])[0]
        let again = try classifier.predict([long, "a", long])
        #expect(cut.isTruncated && again.map(\.isTruncated) == [true, false, true])
        #expect(Self.bits([again[0]]) == Self.bits([cut]))
    }

    @Test func `pairs whose tokens are the same and whose types are not are told apart`() throws {
        let directory = try ModelDirectory(path: Fixtures.model("bert-tiny"))
        let classifier = try Classifier(directory, options: .init(threads: 1, cacheBytes: 1 << 20))
        let plain = try Classifier(directory, options: .init(threads: 1))
        let pair = try classifier.encode("good", pair: "bad")
        let same = Encoding(ids: pair.ids)  // all of type 0
        for encoding in [pair, same, pair] {
            #expect(Self.bits(try classifier.predict([encoding])) == Self.bits(try plain.predict([encoding])))
        }
        #expect(Self.bits(try classifier.predict([pair])) != Self.bits(try classifier.predict([same])))
    }
}
