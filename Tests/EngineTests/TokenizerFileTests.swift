import Engine
import Foundation
import Testing

/// Tokenizer files that cannot be used: each gives one clear error.
@Suite struct TokenizerFileTests {
    private func message(_ directory: TemporaryDirectory) throws -> String {
        let model = try ModelDirectory(path: directory.path)
        return EngineTests.message { _ = try TextTokenizer(model) }
    }

    @Test func `a merges file with a broken line names the line`() throws {
        let directory = try TemporaryDirectory(model: "roberta-tiny")
        for line in ["onlyone", "a b c", " a", "a  b"] {
            try directory.write("#version: 0.2\n\(line)\n", to: "merges.txt")
            #expect(
                try message(directory)
                    == "merges.txt: line 2 is \"\(line)\"; a merge is two tokens with one space between them")
        }
    }

    @Test func `a merge whose result is not in the vocabulary names the line`() throws {
        let directory = try TemporaryDirectory(model: "roberta-tiny")
        try directory.write("#version: 0.2\nzz qq\n", to: "merges.txt")
        #expect(
            try message(directory).hasPrefix(
                "merges.txt: line 2 merges \"zz qq\", but a part or the result is not in the vocabulary"))
    }

    @Test func `a vocabulary that is no JSON, or lacks a byte or a special token, is refused`() throws {
        let directory = try TemporaryDirectory(model: "roberta-tiny")
        try directory.write("{\"a\": 1", to: "vocab.json")
        #expect(try message(directory).hasPrefix("vocab.json: is not a JSON object of tokens and ids"))
        try directory.write("{\"a\": -1}", to: "vocab.json")
        #expect(try message(directory).contains("an id that is not a whole number"))
        try directory.write("{\"a\": 1}", to: "vocab.json")
        #expect(try message(directory).contains("byte-level BPE needs all 256"))

        let bert = try TemporaryDirectory(model: "bert-tiny")
        try bert.write("[PAD]\n[UNK]\nhello\n", to: "vocab.txt")
        #expect(try message(bert) == "vocab.txt: has no token \"[CLS]\" (cls_token)")
    }

    @Test func `a tokenizer with more ids than the model has embeddings is refused`() throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        let vocabulary = try directory.read("vocab.txt")
        try directory.write(vocabulary + Array("one-more\n".utf8), to: "vocab.txt")
        #expect(
            try message(directory)
                == "config.json: vocab_size is 200, but the tokenizer has the id 200. Check that both come from the same model"
        )
    }

    @Test func `a missing tokenizer is named`() throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        try directory.remove("vocab.txt")
        #expect(try message(directory).hasSuffix("has no tokenizer: neither tokenizer.json nor vocab.txt"))
    }

    @Test func `additional special tokens are found in the text, as Transformers does`() throws {
        let directory = try TemporaryDirectory(model: "roberta-tiny")
        try directory.write(#"{"additional_special_tokens": ["he"]}"#, to: "special_tokens_map.json")
        let tokenizer = try TextTokenizer(try ModelDirectory(path: directory.path))
        #expect(try tokenizer.encode("shed there").ids == [0, 86, 261, 71, 260, 261, 85, 72, 2])  // by Transformers 5.23
    }

    @Test(arguments: [
        (
            #"{"type": "BertProcessing", "cls": ["[CLS]", -5], "sep": ["[SEP]", 3]}"#,
            "post_processor names \"cls\" without its ids"
        ),
        (#"{"type": "BertProcessing", "cls": ["[CLS]", 200], "sep": ["[SEP]", 3]}"#, "the tokenizer has the id 200"),
        (#"{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}]}"#, "no special token before a text"),
        (
            #"{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}], "special_tokens": {"x": {"ids": ["y"]}}}"#,
            "post_processor names \"x\" without its ids"
        ),
        (#"{"type": "ByteLevel"}"#, "post_processor ByteLevel is not supported"),
    ])
    func `a template that names no usable tokens is refused`(_ processor: String, _ expected: String) throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        let model = #"{"type": "WordPiece", "unk_token": "a", "vocab": {"a": 0}}"#
        let rest = #""normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"}"#
        try directory.write("{\"model\": \(model), \(rest), \"post_processor\": \(processor)}", to: "tokenizer.json")
        let found = try message(directory)
        #expect(found.contains(expected), "\(found)")
    }

    @Test(arguments: [
        (#"{"model": {"type": "Unigram", "vocab": {}}}"#, "model Unigram is not supported"),
        (
            #"{"model": {"type": "WordPiece", "vocab": {}}, "normalizer": {"type": "NFC"}}"#,
            "normalizer NFC is not supported"
        ),
        (
            #"{"model": {"type": "BPE", "vocab": {}, "merges": []}, "normalizer": {"type": "NFC"}}"#,
            "normalizer NFC is not supported"
        ),
        (
            #"{"model": {"type": "BPE", "vocab": {}, "merges": []}, "pre_tokenizer": {"type": "Metaspace"}}"#,
            "pre_tokenizer Metaspace is not supported"
        ),
        (#"{"model": {"type": "BPE", "merges": ["a"]}}"#, "a merge that is not two tokens"),
        (#"{"model": {"type": "BPE", "vocab": {"a": 1.5}}}"#, "an id that is not a whole number"),
        (#"{"model": "#, "cannot be read"),
    ])
    func `a tokenizer.json with an unsupported part names it`(_ json: String, _ expected: String) throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        try directory.write(json, to: "tokenizer.json")
        #expect(try message(directory).hasPrefix("tokenizer.json: "))
        #expect(try message(directory).contains(expected))
    }
}
