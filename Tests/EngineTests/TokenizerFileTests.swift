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

    /// A tokenizer.json that is taken as it is, with the stages given.
    private func generic(_ stages: String, model: String? = nil, settings: String = "") throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        let model = model ?? #"{"type": "WordPiece", "unk_token": "a", "vocab": {"a": 0, "b": 1}}"#
        try directory.write("{\"model\": \(model)\(stages)}", to: "tokenizer.json")
        try directory.write("{\"tokenizer_class\": \"PreTrainedTokenizerFast\"\(settings)}", to: "tokenizer_config.json")
        return directory
    }

    @Test(arguments: [
        (
            #"{"type": "BertProcessing", "cls": ["[CLS]", -5], "sep": ["[SEP]", 3]}"#,
            "post_processor names \"cls\" without its ids"
        ),
        (#"{"type": "BertProcessing", "cls": ["[CLS]", 200], "sep": ["[SEP]", 3]}"#, "the tokenizer has the id 200"),
        (
            #"{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}], "pair": [{"Sequence": {"id": "A"}}, {"Sequence": {"id": "B"}}]}"#,
            "no special token before a text"
        ),
        (
            #"{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}], "special_tokens": {"x": {"ids": ["y"]}}}"#,
            "post_processor names \"x\" without its ids"
        ),
        (
            #"{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}], "special_tokens": {}}"#,
            "post_processor names \"x\" without its ids"
        ),
        (#"{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "B"}}]}"#, "(single) does not hold A once"),
        (
            #"{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}], "pair": [{"Sequence": {"id": "A", "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 0}}]}"#,
            "(pair) has token types that are not 0s, then 1s"
        ),
        (
            #"{"type": "Sequence", "processors": [{"type": "BertProcessing", "cls": ["a", 1], "sep": ["b", 2]}, {"type": "BertProcessing", "cls": ["a", 1], "sep": ["b", 3]}]}"#,
            "Sequence of two templates is not supported"
        ),
        (#"{"type": "ByteLevel"}"#, "no special token before a text"),
        (#"{"type": "Other"}"#, "post_processor Other is not supported; supported: TemplateProcessing"),
    ])
    func `a template that names no usable tokens is refused`(_ processor: String, _ expected: String) throws {
        let found = try message(try generic(", \"post_processor\": \(processor)"))
        #expect(found.contains(expected), "\(found)")
    }

    @Test(arguments: [
        (#"{"type": "Other"}"#, "normalizer Other is not supported; supported: BertNormalizer"),
        (#"{"type": "Replace", "pattern": {"Regex": "(?<x>a)"}, "content": ""}"#, "the regular expression (?<x>a) is not"),
        (#"{"type": "Replace", "pattern": {"Regex": "a("}, "content": ""}"#, "a ( without its )"),
        (#"{"type": "Replace", "pattern": {"Regex": "\\p{Greek}"}, "content": ""}"#, "\\p{Greek}"),
        (#"{"type": "Replace", "pattern": {}, "content": ""}"#, "a pattern is neither"),
        (#"{"type": "Replace", "pattern": {"String": "a"}}"#, "Replace has no \"content\""),
        (#"{"type": "Precompiled", "precompiled_charsmap": "AAA"}"#, "precompiled_charsmap is not base64"),
        (#"{"type": "Precompiled", "precompiled_charsmap": "/////w=="}"#, "precompiled_charsmap is damaged"),
        (#"{"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Uppercase"}]}"#, "normalizer Uppercase is not"),
    ])
    func `a normalizer that cannot be used is named`(_ normalizer: String, _ expected: String) throws {
        let found = try message(try generic(", \"normalizer\": \(normalizer)"))
        #expect(found.hasPrefix("tokenizer.json: ") && found.contains(expected), "\(found)")
    }

    @Test(arguments: [
        (#"{"type": "UnicodeScripts"}"#, "pre_tokenizer UnicodeScripts is not supported; supported: BertPreTokenizer"),
        (#"{"type": "Metaspace", "replacement": "ab"}"#, "the replacement of Metaspace is not one character"),
        (#"{"type": "Metaspace", "replacement": "_", "prepend_scheme": "last"}"#, "prepend_scheme last is not supported"),
        (
            #"{"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "add_prefix_space": false}"#,
            "add_prefix_space false of Metaspace contradicts prepend_scheme first"
        ),
        (#"{"type": "Split", "pattern": {"String": "a"}, "behavior": "Odd"}"#, "the behavior of Split must be one of"),
        (#"{"type": "Split", "pattern": {"Regex": "[a"}, "behavior": "Removed"}"#, "a [ without its ]"),
    ])
    func `a pre-tokenizer that cannot be used is named`(_ splitter: String, _ expected: String) throws {
        let found = try message(try generic(", \"pre_tokenizer\": \(splitter)"))
        #expect(found.hasPrefix("tokenizer.json: ") && found.contains(expected), "\(found)")
    }

    @Test(arguments: [
        (#"{"type": "Other", "vocab": {}}"#, "model Other is not supported; supported: BPE, WordPiece, Unigram, WordLevel"),
        (#"{"type": "BPE", "vocab": {}, "merges": [], "dropout": 0.1}"#, "dropout 0.1 would make token ids random"),
        (#"{"type": "BPE", "vocab": {}, "merges": ["a b"]}"#, "merge 1 merges \"a b\", but a part or the result is not"),
        (#"{"type": "BPE", "vocab": {"a": 0}, "merges": [], "unk_token": "u"}"#, "has no token \"u\" (unk_token)"),
        (#"{"type": "BPE", "merges": ["a"]}"#, "a merge that is not two tokens"),
        (#"{"type": "BPE", "vocab": {"a": 1.5}}"#, "an id that is not a whole number"),
        (#"{"type": "WordPiece", "vocab": {"a": 0}}"#, "has no token \"[UNK]\" (unk_token)"),
        (#"{"type": "Unigram", "vocab": [["a", 0]]}"#, "Unigram has no unk_id"),
        (#"{"type": "Unigram", "unk_id": 1, "vocab": [["a", 0]]}"#, "unk_id 1 is not in the vocabulary of 1 pieces"),
        (#"{"type": "Unigram", "unk_id": 0, "vocab": [["a", 1e999]]}"#, "a number out of range"),
        (#"{"type": "Unigram", "unk_id": 0, "vocab": [["a", NaN]]}"#, "expected a value"),
        (#"{"type": "Unigram", "unk_id": 0, "vocab": [["a"]]}"#, "a piece that is not a token and a score"),
        (#"{"type": "Unigram", "unk_id": 0, "vocab": {}}"#, "the vocabulary of Unigram is not a list of pieces"),
        (#"{"type": "#, "cannot be read"),
    ])
    func `a model that cannot be used is named`(_ model: String, _ expected: String) throws {
        let found = try message(try generic("", model: model))
        #expect(found.hasPrefix("tokenizer.json: ") && found.contains(expected), "\(found)")
    }

    @Test func `stages nested a million deep are one clear error`() throws {
        let open = String(repeating: #"{"type": "Sequence", "normalizers": ["#, count: 1_000_000)
        let directory = try generic(", \"normalizer\": \(open)")
        #expect(try message(directory).hasPrefix("tokenizer.json: cannot be read: nested deeper than 128 levels"))
    }

    @Test(arguments: [
        ("BertJapaneseTokenizer", "tokenizer_config.json: tokenizer_class BertJapaneseTokenizer is not supported"),
        ("PreTrainedTokenizer", "tokenizer_class PreTrainedTokenizer is not supported"),
        ("XLMRobertaTokenizer", "neither tokenizer.json nor sentencepiece.bpe.model"),
        ("AlbertTokenizerFast", "neither tokenizer.json nor spiece.model"),
        ("PreTrainedTokenizerFast", "has no tokenizer: no tokenizer.json"),
    ])
    func `the tokenizer's class decides which files are read`(_ name: String, _ expected: String) throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        try directory.write("{\"tokenizer_class\": \"\(name)\"}", to: "tokenizer_config.json")
        #expect(try message(directory).contains(expected))
    }

    @Test func `a tokenizer.json of another model than the class builds is refused`() throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        let model = #"{"type": "Unigram", "unk_id": 0, "vocab": [["a", 0]]}"#
        try directory.write("{\"model\": \(model)}", to: "tokenizer.json")
        #expect(try message(directory).hasPrefix("tokenizer.json: its model Unigram is not one that the tokenizer's class"))
    }

    @Test(arguments: [
        (#"{"model_max_length": 0}"#, "model_max_length must be a whole number above 0"),
        (#"{"model_max_length": 2}"#, "model_max_length leaves no room for a text"),
        (#"{"truncation_side": "up"}"#, "truncation_side must be left or right"),
        (#"{"do_lower_case": "yes"}"#, "do_lower_case is a string; it is true or false"),
        (#"{"added_tokens_decoder": {"x": {}}}"#, "added_tokens_decoder holds one without an id and a content"),
    ])
    func `a setting of tokenizer_config.json that means nothing is named`(_ json: String, _ expected: String) throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        try directory.write(json, to: "tokenizer_config.json")
        #expect(try message(directory) == "tokenizer_config.json: \(expected)")
    }

    @Test(arguments: ["g o 1 2 3", "g o", "go", "", "g o 1 2"])
    func `a line of bpe.codes that is not two tokens and a count is named`(_ line: String) throws {
        let directory = try TemporaryDirectory(model: "roberta-tiny")
        try directory.write(#"{"tokenizer_class": "BertweetTokenizer"}"#, to: "tokenizer_config.json")
        try directory.write("good 5\ngo@@ 3\n", to: "vocab.txt")
        try directory.write("b a 1\n\(line)\n", to: "bpe.codes")
        #expect(try message(directory) == "bpe.codes: line 2 is \"\(line)\"; it must be two tokens and their count")
        try directory.write("b a 1\n", to: "bpe.codes")
        try directory.write("good 5\nalone\n", to: "vocab.txt")
        #expect(
            try message(directory) == "vocab.txt: line 2 is \"alone\"; it must be a token, a space and its count")
    }

    @Test func `an added token without an id is named`() throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        try directory.write(#"{"a": "b"}"#, to: "added_tokens.json")
        #expect(try message(directory) == "added_tokens.json: the id of \"a\" is not a whole number")
    }
}
