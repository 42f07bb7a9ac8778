import Foundation

/// `tokenizer.json`, as the `tokenizers` library writes it. Its truncation and padding are not used: what fits is the
/// model's matter, and nothing is padded. A component that is not supported is an error that names it.
struct TokenizerJSON {
    private var settings: [JSONValue.Member] = []
    private var model: [JSONValue.Member] = []
    private var vocabulary: [VocabularyFiles.Entry] = []
    private var merges: [VocabularyFiles.Merge] = []

    static func load(_ path: String) throws(InputError) -> TextTokenizer {
        let bytes = try JSONFile.bytes(path)
        var file = TokenizerJSON()
        do {
            try file.read(bytes)
        } catch {
            throw InputError("tokenizer.json", "cannot be read: \(error)")
        }
        return try file.tokenizer()
    }

    private mutating func read(_ bytes: [UInt8]) throws(JSONError) {
        var reader = JSONReader(bytes)
        try reader.object { (reader, name) throws(JSONError) in
            if name.elementsEqual("model".utf8) {
                try readModel(&reader)
            } else {
                settings.append(.init(String(decoding: name, as: UTF8.self), try reader.value()))
            }
        }
        try reader.end()
    }

    private mutating func readModel(_ reader: inout JSONReader) throws(JSONError) {
        try reader.object { (reader, name) throws(JSONError) in
            if name.elementsEqual("vocab".utf8) {
                vocabulary = try VocabularyFiles.entries(&reader)
            } else if name.elementsEqual("merges".utf8) {
                try readMerges(&reader)
            } else {
                model.append(.init(String(decoding: name, as: UTF8.self), try reader.value()))
            }
        }
    }

    /// Each merge is `"left right"`, or `["left", "right"]` in files written since 2024.
    private mutating func readMerges(_ reader: inout JSONReader) throws(JSONError) {
        try reader.array { (reader) throws(JSONError) in
            let position = reader.position
            let merge: VocabularyFiles.Merge? =
                switch try reader.value() {
                case .string(let line): VocabularyFiles.merge(Array(line.utf8))
                case .array(let pair) where pair.count == 2:
                    if let left = pair[0].string, let right = pair[1].string {
                        (Array(left.utf8), Array(right.utf8))
                    } else {
                        nil
                    }
                default: nil
                }
            guard let merge else { throw JSONError(offset: position, problem: "a merge that is not two tokens") }
            merges.append(merge)
        }
    }

    // MARK: - Components

    private func setting(_ name: String) -> JSONValue {
        JSONValue.object(settings)[name] ?? .null
    }

    private func unsupported(_ what: String, _ value: JSONValue, _ supported: String) -> InputError {
        let found = value["type"]?.string ?? String(decoding: value.serialized().prefix(200), as: UTF8.self)
        return InputError("tokenizer.json", "\(what) \(found) is not supported; supported: \(supported)")
    }

    private func tokenizer() throws(InputError) -> TextTokenizer {
        let modelSettings = JSONValue.object(model)
        let model: any SubwordModel
        // Older files leave the type out; only BPE has merges.
        switch modelSettings["type"]?.string ?? (merges.isEmpty ? "WordPiece" : "BPE") {
        case "BPE": model = try byteLevel(modelSettings)
        case "WordPiece": model = try wordPiece(modelSettings)
        default: throw unsupported("model", modelSettings, "BPE, WordPiece")
        }
        let (prefix, suffix) = try template(setting("post_processor"))
        return TextTokenizer(model: model, added: try addedTokens(), prefix: prefix, suffix: suffix)
    }

    private func byteLevel(_ model: JSONValue) throws(InputError) -> any SubwordModel {
        guard setting("normalizer").isNull else { throw unsupported("normalizer", setting("normalizer"), "none with BPE") }
        let splitter = setting("pre_tokenizer")
        guard splitter["type"]?.string == "ByteLevel", splitter["use_regex"]?.bool ?? true else {
            throw unsupported("pre_tokenizer", splitter, "ByteLevel with BPE")
        }
        for name in ["continuing_subword_prefix", "end_of_word_suffix"] where !(model[name]?.string ?? "").isEmpty {
            throw InputError("tokenizer.json", "\(name) is not supported with byte-level BPE")
        }
        for name in ["byte_fallback", "ignore_merges"] where model[name]?.bool == true {
            throw InputError("tokenizer.json", "\(name) is not supported with byte-level BPE")
        }
        if let dropout = model["dropout"]?.double, dropout > 0 {
            throw InputError("tokenizer.json", "dropout \(dropout) would make token ids random; set it to null")
        }
        return try ByteLevelBPE(
            vocabulary: TokenTable(vocabulary), merges: merges,
            addsPrefixSpace: splitter["add_prefix_space"]?.bool ?? true, file: "tokenizer.json",
            place: { "merge \($0 + 1)" })
    }

    private func wordPiece(_ model: JSONValue) throws(InputError) -> any SubwordModel {
        let normalizer = setting("normalizer")
        guard normalizer["type"]?.string == "BertNormalizer" else {
            throw unsupported("normalizer", normalizer, "BertNormalizer with WordPiece")
        }
        guard setting("pre_tokenizer")["type"]?.string == "BertPreTokenizer" else {
            throw unsupported("pre_tokenizer", setting("pre_tokenizer"), "BertPreTokenizer with WordPiece")
        }
        let table = TokenTable(vocabulary)
        let unknown = model["unk_token"]?.string ?? "[UNK]"
        guard let unknownID = table[Array(unknown.utf8)] else {
            throw InputError("tokenizer.json", "the vocabulary has no token \"\(unknown)\" (unk_token)")
        }
        let longest = model["max_input_chars_per_word"]?.integer ?? 100
        guard 1...1000 ~= longest else {
            throw InputError("tokenizer.json", "max_input_chars_per_word \(longest) is not supported; supported: 1 to 1000")
        }
        let lowercases = normalizer["lowercase"]?.bool ?? true
        return WordPiece(
            vocabulary: table,
            normalizer: BertNormalizer(
                cleansText: normalizer["clean_text"]?.bool ?? true,
                splitsChinese: normalizer["handle_chinese_chars"]?.bool ?? true,
                stripsAccents: normalizer["strip_accents"]?.bool ?? lowercases, lowercases: lowercases),
            unknownID: unknownID, maximumWordLength: longest,
            continuation: Array((model["continuing_subword_prefix"]?.string ?? "##").utf8))
    }

    private func addedTokens() throws(InputError) -> [AddedTokens.Token] {
        var tokens: [AddedTokens.Token] = []
        for token in setting("added_tokens").array ?? [] {
            guard let content = token["content"]?.string, let id = token["id"]?.integer, 0...Int(Int32.max) ~= id else {
                throw InputError("tokenizer.json", "added_tokens holds one without a content and an id")
            }
            // A normalized token is looked for in the normalized text; without a normalizer that is the text itself.
            if token["normalized"]?.bool == true, !setting("normalizer").isNull {
                throw InputError("tokenizer.json", "added token \"\(content)\" is normalized, which is not supported")
            }
            tokens.append(.init(content: Array(content.utf8), id: id, token))
        }
        return tokens
    }

    private func ids(_ values: ArraySlice<JSONValue>?, of name: String) throws(InputError) -> [Int] {
        let ids = (values ?? []).compactMap(\.integer).filter { 0...Int(Int32.max) ~= $0 }
        guard !ids.isEmpty, ids.count == values?.count else {
            throw InputError("tokenizer.json", "post_processor names \"\(name)\" without its ids")
        }
        return ids
    }

    /// The ids before and behind a single text.
    private func template(_ processor: JSONValue) throws(InputError) -> (prefix: [Int], suffix: [Int]) {
        switch processor["type"]?.string {
        case "RobertaProcessing", "BertProcessing":
            return (
                try ids(processor["cls"]?.array?.suffix(1), of: "cls"),
                try ids(processor["sep"]?.array?.suffix(1), of: "sep")
            )
        case "TemplateProcessing":
            var parts: (prefix: [Int], suffix: [Int]) = ([], [])
            var hasText = false
            for piece in processor["single"]?.array ?? [] {
                if let name = piece["SpecialToken"]?["id"]?.string {
                    let ids = try ids(processor["special_tokens"]?[name]?["ids"]?.array?[...], of: name)
                    if hasText { parts.suffix += ids } else { parts.prefix += ids }
                } else if piece["Sequence"]?["id"]?.string == "A", !hasText {
                    hasText = true
                } else {
                    throw unsupported("post_processor", processor, "a template with one sequence")
                }
            }
            guard hasText else { throw unsupported("post_processor", processor, "a template with one sequence") }
            return parts
        default:
            throw unsupported("post_processor", processor, "RobertaProcessing, BertProcessing, TemplateProcessing")
        }
    }
}
