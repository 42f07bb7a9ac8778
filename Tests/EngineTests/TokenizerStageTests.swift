import Engine
import Foundation
import Testing

/// Each stage of a tokenizer against the `tokenizers` library: tools/make_stage_fixtures.py wrote what that makes of the
/// nasty texts. The model is one of single characters, whose ids tell all that a stage does.
@Suite struct TokenizerStageTests {
    private static let reference = Result { try Fixtures.json(Fixtures.directory + "/tokenizer_stages.json") }

    private static let stages: [String] =
        ((try? reference.get()["stages"]?.array) ?? []).compactMap { $0["name"]?.string }

    private static let texts = Result {
        try Fixtures.bytes(Fixtures.directory + "/nasty_texts.jsonl").split(separator: 0x0A).map {
            Array((try JSONValue(parsing: Array($0))["text"]?.string ?? "").utf8)
        }.filter { String(decoding: $0, as: UTF8.self).unicodeScalars.count < 500 }
    }

    private func tokenizer(_ stage: JSONValue, _ reference: JSONValue) throws -> TextTokenizer {
        let characters = try #require(reference["characters"]?.string).unicodeScalars.map { String($0) }
        let special = try #require(reference["special"]?.array).compactMap(\.string)
        let tokens = special + characters + characters.map { "##" + $0 }
        let model: JSONValue = [
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 600,
            "vocab": .object(tokens.enumerated().map { .init($1, .integer($0)) }),
        ]
        let directory = try TemporaryDirectory(model: "bert-tiny")
        try directory.setConfig("vocab_size", 10_000)
        try directory.setConfig("max_position_embeddings", try #require(reference["max_length"]))
        let file = JSONValue.object((stage.object ?? []) + [.init("model", model)])
        try directory.write(file.serialized(), to: "tokenizer.json")
        try directory.write(
            #"{"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["token_type_ids"]}"#,
            to: "tokenizer_config.json")
        return try TextTokenizer(try ModelDirectory(path: directory.path), preparation: TextPreparation.none)
    }

    @Test func `there are stages to be tested`() { #expect(Self.stages.count > 45) }

    @Test(arguments: Self.stages)
    func `a stage does to the nasty texts what the library does`(_ name: String) throws {
        let reference = try Self.reference.get()
        let stage = try #require(reference["stages"]?.array?.first { $0["name"]?.string == name })
        let tokenizer = try tokenizer(stage, reference)
        let texts = try Self.texts.get()
        var (ids, pairs) = (Digest(), Digest())
        for (text, next) in zip(texts, texts.dropFirst() + [[]]) {
            ids.add(tokenizer.encodeUnchecked(text).ids)
            if next.isEmpty && ids.count == texts.count { break }
            let pair = tokenizer.encodeUnchecked(text, pair: next)
            let start = pair.secondStart ?? pair.ids.count
            pairs.add(pair.ids + pair.ids.indices.map { $0 < start ? 0 : 1 })
        }
        #expect(ids.hexadecimal == stage["ids"]?.string)
        #expect(pairs.hexadecimal == stage["pairs"]?.string)
    }

    @Test(.timeLimit(.minutes(1)), arguments: ["(a|aa)+b", "(?:a+)+c", "(?:a|b|ab)*c", "(?:(?:a?)*)*d"])
    func `a regular expression takes no exponential time`(_ pattern: String) throws {
        let reference = try Self.reference.get()
        let split: JSONValue = [
            "type": "Split", "pattern": ["Regex": .string(pattern)], "behavior": "Isolated", "invert": false,
        ]
        let first = try #require(reference["stages"]?.array?.first)
        let stage = JSONValue.object(
            (first.object ?? []).filter { $0.name != "pre_tokenizer" } + [.init("pre_tokenizer", split)])
        let tokenizer = try tokenizer(stage, reference)
        #expect(tokenizer.encodeUnchecked(Array(String(repeating: "ab", count: 50).utf8)).ids.count > 50)
        #expect(tokenizer.encodeUnchecked(Array(String(repeating: "a", count: 100).utf8)).ids.count > 50)
    }

    // MARK: - SentencePiece

    private static func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
        var length = content.count
        var bytes = [number << 3 | 2]
        repeat {
            bytes.append(UInt8(length & 0x7F) | (length > 0x7F ? 0x80 : 0))
            length >>= 7
        } while length > 0
        return bytes + content
    }

    /// A model of the letters a to z, of ▁ and of some words, as SentencePiece writes it.
    private static let sentencePiece: [UInt8] = {
        func piece(_ text: String, _ score: Float, _ type: UInt8) -> [UInt8] {
            let bits = score.bitPattern
            let number = (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) }
            return field(1, field(1, Array(text.utf8)) + [2 << 3 | 5] + number + [3 << 3, type])
        }
        let words = ["▁", "▁go", "od", "▁good", "ba", "d"] + (97...122).map { String(UnicodeScalar($0)) }
        return piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3)
            + words.enumerated().flatMap { piece($1, -Float($0) - 1, 1) } + field(2, [3 << 3, 1]) + field(3, [3 << 3, 1])
    }()

    private func message(_ file: [UInt8]) throws -> String {
        let directory = try Self.xlmRoberta(file)
        return EngineTests.message { _ = try TextTokenizer(try ModelDirectory(path: directory.path)) }
    }

    private static func xlmRoberta(_ file: [UInt8]) throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        try directory.write(#"{"tokenizer_class": "XLMRobertaTokenizer"}"#, to: "tokenizer_config.json")
        try directory.write(file, to: "sentencepiece.bpe.model")
        return directory
    }

    @Test func `a SentencePiece model gets fairseq's ids`() throws {
        let directory = try Self.xlmRoberta(Self.sentencePiece)
        let tokenizer = try TextTokenizer(try ModelDirectory(path: directory.path), preparation: TextPreparation.none)
        // By Transformers 5.24: <s> ▁good ▁ ba d ▁ <unk> </s>; of the two pieces d the last counts
        #expect(try tokenizer.encode("good  bad É").ids == [0, 7, 4, 8, 13, 4, 3, 2])
        #expect(try tokenizer.encode("good", pair: "<mask>").ids == [0, 7, 2, 2, 36, 2])
    }

    @Test func `a SentencePiece model that is cut short is one clear error`() throws {
        for count in stride(from: 0, to: Self.sentencePiece.count, by: 5) {
            let directory = try Self.xlmRoberta(Array(Self.sentencePiece[..<count]))
            let found = EngineTests.messageOrNone { _ = try TextTokenizer(try ModelDirectory(path: directory.path)) }
            // Cut between two pieces it is a smaller model.
            guard let found else { continue }
            #expect(found.contains("sentencepiece.bpe.model: ") && !found.contains("\n"), "\(count): \(found)")
        }
    }

    @Test func `a score that is no number is named`() throws {
        let bytes = Self.field(1, Self.field(1, [97]) + [2 << 3 | 5, 0, 0, 0xC0, 0x7F])
        #expect(
            try message(bytes)
                == "sentencepiece.bpe.model: is not a SentencePiece model, or is damaged: the score of piece 0 is nan. Fetch it again"
        )
    }

    @Test func `damaged tokenizer files give an error or a tokenizer, never a crash`() throws {
        let seed = Fuzzing.seed
        print("seed of the damaged tokenizer files: \(seed)")
        var random = SplitMix64(state: seed)
        let directory = try Self.xlmRoberta(Self.sentencePiece)
        let generic = try TemporaryDirectory(model: "bert-tiny")
        try generic.write(#"{"tokenizer_class": "PreTrainedTokenizerFast"}"#, to: "tokenizer_config.json")
        let json = Array(
            #"{"added_tokens": [{"id": 3, "content": "[M]", "lstrip": true, "normalized": true}], "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Precompiled", "precompiled_charsmap": "CAAAAAAAAAAAAAAAYWIA"}, {"type": "Replace", "pattern": {"Regex": "[a-c]+(?!d)|\\s{2,}"}, "content": "x"}]}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "(?:\\w|-)+?|\\d*"}, "behavior": "MergedWithNext", "invert": false}, {"type": "Metaspace", "replacement": "_", "prepend_scheme": "first"}]}, "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": true, "vocab": [["a", -1.5], ["_", -2], ["ab", -1e-3]]}, "post_processor": {"type": "BertProcessing", "sep": ["a", 1], "cls": ["b", 2]}}"#
                .utf8)
        let texts = ["", "abc  d", "_a[M]\u{301}É 12", "\u{1F600}"].map { Array($0.utf8) }
        for round in 0..<Fuzzing.cases {
            let isJSON = round.isMultiple(of: 2)
            var bytes = isJSON ? json : Self.sentencePiece
            for _ in 0..<(1 + random.next() % 3) {
                let place = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 4 {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(bytes[Int(random.next() % UInt64(bytes.count))], at: place)
                default: bytes.removeLast(min(bytes.count - 1, Int(random.next() % 8)))
                }
            }
            let target = isJSON ? generic : directory
            try target.write(bytes, to: isJSON ? "tokenizer.json" : "sentencepiece.bpe.model")
            do {
                let tokenizer = try TextTokenizer(try ModelDirectory(path: target.path), preparation: TextPreparation.none)
                for text in texts { _ = tokenizer.encodeUnchecked(text, pair: text) }
            } catch {
                #expect(error is InputError && !"\(error)".contains("\n"), "seed \(seed), round \(round): \(error)")
            }
        }
    }
}
