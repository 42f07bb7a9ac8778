import Engine
import Foundation
import Testing

/// Unigram's trie and its cache of pieces beside a search that has neither.
@Suite struct UnigramTests {
    private struct Vocabulary {
        var pieces: [[UInt8]] = []
        var scores: [Double] = []

        /// All ways to cut, by the definition: of each place the best last token, the first of equals.
        func ids(of text: [UInt8]) -> [Int] {
            var ids: [[UInt8]: Int] = [:]
            for (id, piece) in pieces.enumerated() { ids[piece] = id }
            let unknownScore = scores.min()! - 10
            var best: [(score: Double, start: Int, id: Int)?] = Array(repeating: nil, count: text.count + 1)
            best[0] = (0, 0, 0)
            let starts = text.indices.filter { text[$0] & 0xC0 != 0x80 } + [text.count]
            for (index, start) in starts.dropLast().enumerated() {
                let score = best[start]!.score
                func offer(_ id: Int, _ score: Double, _ end: Int) {
                    if let found = best[end], found.score >= score { return }
                    best[end] = (score, start, id)
                }
                for end in start + 1...text.count {
                    if let id = ids[Array(text[start..<end])] { offer(id, scores[id] + score, end) }
                }
                let next = starts[index + 1]
                if ids[Array(text[start..<next])] == nil { offer(0, unknownScore + score, next) }
            }
            var found: [Int] = []
            var end = text.count
            while end > 0 {
                var (_, start, id) = best[end]!
                // Unknown ones in a row are one, which may be a piece.
                while id == 0, start > 0, best[start]!.id == 0 { start = best[start]!.start }
                if id == 0 { id = ids[Array(text[start..<end])] ?? 0 }
                found.append(id)
                end = start
            }
            return found.reversed()
        }

        func tokenizer(splits: Bool) throws -> TextTokenizer {
            let directory = try TemporaryDirectory(model: "bert-tiny")
            try directory.setConfig("vocab_size", 100_000)
            let vocabulary = zip(pieces, scores).map {
                JSONValue.array([.string(String(decoding: $0, as: UTF8.self)), .number($1)])
            }
            let splitter: JSONValue = splits ? ["type": "WhitespaceSplit"] : .null
            let file: JSONValue = [
                "model": ["type": "Unigram", "unk_id": 0, "vocab": .array(vocabulary)], "pre_tokenizer": splitter,
                "post_processor": ["type": "BertProcessing", "cls": ["<", 1], "sep": [">", 2]],
            ]
            try directory.write(file.serialized(), to: "tokenizer.json")
            try directory.write(#"{"tokenizer_class": "PreTrainedTokenizerFast"}"#, to: "tokenizer_config.json")
            return try TextTokenizer(try ModelDirectory(path: directory.path), preparation: TextPreparation.none)
        }
    }

    /// Of few letters, so that most pieces are the beginnings of others; some as long as no leaf holds, some twice, a NUL.
    private static func vocabulary(_ random: inout SplitMix64) -> Vocabulary {
        let letters = ["a", "b", "c", "\u{E9}", "\u{1F600}", "\0"].map { Array($0.utf8) }
        var vocabulary = Vocabulary(pieces: [Array("?".utf8), Array("<".utf8), Array(">".utf8)], scores: [0, 0, 0])
        func add(_ piece: [UInt8], _ random: inout SplitMix64) {
            vocabulary.pieces.append(piece)
            vocabulary.scores.append(-Double(random.next() % 4096) / 256)
        }
        for _ in 0..<400 {
            let length = random.next() % 20 == 0 ? 100 + random.next() % 100 : 1 + random.next() % 6
            add((0..<length).flatMap { _ in letters[Int(random.next() % 20 == 0 ? 5 : random.next() % 5)] }, &random)
        }
        add(vocabulary.pieces[7], &random)
        add(Array(repeating: 0x61, count: 300), &random)
        return vocabulary
    }

    private static func text(_ vocabulary: Vocabulary, words: Int, _ random: inout SplitMix64) -> [UInt8] {
        var text: [UInt8] = []
        for _ in 0..<words {
            for _ in 0...random.next() % 4 {
                text += vocabulary.pieces[3 + Int(random.next() % UInt64(vocabulary.pieces.count - 3))].prefix(200)
                if random.next() % 8 == 0 { text += Array("xy".utf8) }
            }
            if !text.isEmpty, words > 1 { text.append(0x20) }
        }
        // A piece's prefix may be cut within a character.
        return Array(String(decoding: text, as: UTF8.self).utf8)
    }

    @Test(arguments: 0..<6)
    func `the cut is that of a search without a trie, piece by piece`(_ seed: UInt64) throws {
        var random = SplitMix64(state: seed)
        let vocabulary = Self.vocabulary(&random)
        let tokenizer = try vocabulary.tokenizer(splits: false)
        for _ in 0..<150 {
            let text = Self.text(vocabulary, words: 1, &random)
            let expected = [1] + vocabulary.ids(of: text) + [2]
            #expect(tokenizer.encodeUnchecked(text).ids.prefix(500) == expected.prefix(500), "\(text)")
        }
    }

    @Test func `words that are remembered have the ids that they had, on every thread`() throws {
        var random = SplitMix64(state: 7)
        let vocabulary = Self.vocabulary(&random)
        let tokenizer = try vocabulary.tokenizer(splits: true)
        // Short ones of the same letters again and again, which differ in their last byte or by a NUL behind it.
        let texts = (0..<400).map { _ in
            let words = (0..<8).map { _ in
                "abc\0".prefix(Int(random.next() % 3) + 1) + ["a", "b", "\0", ""][Int(random.next() % 4)]
            }
            return Array(words.joined(separator: " ").utf8)
        }
        let expected = texts.map { text in
            [1] + text.split(separator: 0x20).flatMap { vocabulary.ids(of: Array($0)) } + [2]
        }
        let isRight = Results(count: 24)
        DispatchQueue.concurrentPerform(iterations: 24) { turn in
            let order = turn.isMultiple(of: 2) ? Array(texts.indices) : texts.indices.reversed()
            isRight.set(turn, order.allSatisfy { tokenizer.encodeUnchecked(texts[$0]).ids == expected[$0] })
        }
        #expect(isRight.all == Array(repeating: true, count: 24))
    }

    private final class Results: @unchecked Sendable {
        private let lock = NSLock()
        private(set) var all: [Bool]

        init(count: Int) { all = Array(repeating: false, count: count) }

        func set(_ place: Int, _ value: Bool) { lock.withLock { all[place] = value } }
    }
}
