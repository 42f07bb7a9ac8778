import Foundation

/// A model directory's tokenizer: `tokenizer.json` where there is one, as in Transformers, else `vocab.json` with
/// `merges.txt` (RoBERTa) or `vocab.txt` (BERT) with the special tokens' settings beside them.
extension TextTokenizer {
    /// The tokenizer of a model directory; it does not need the weights.
    public init(_ directory: ModelDirectory, preparation: TextPreparation? = nil) throws(InputError) {
        try self.init(directory, config: try ModelConfig(directory: directory.path), preparation: preparation)
    }

    /// - Parameter preparation: nil for what config.json says, which is `tweet` where it says nothing.
    init(_ directory: ModelDirectory, config: ModelConfig, preparation: TextPreparation?) throws(InputError) {
        self = try Self.load(directory: directory.path, architecture: config.architecture)
        guard largestID < config.vocabulary.value else {
            throw InputError(
                "config.json",
                "vocab_size is \(config.vocabulary.value), but the tokenizer has the id \(largestID). "
                    + "Check that both come from the same model")
        }
        self.preparation = preparation ?? config.textPreparation ?? .tweet
        maximumTokens = config.maximumTokens
        guard !prefix.isEmpty else {
            throw InputError(
                directory.path, "the tokenizer puts no special token before a text; a classifier reads the first token")
        }
        guard prefix.count + suffix.count <= maximumTokens else {
            throw InputError("config.json", "max_position_embeddings leaves no room for a text")
        }
    }

    private static func load(
        directory: String, architecture: ModelConfig.Architecture
    ) throws(InputError) -> TextTokenizer {
        func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(directory)/\(name)") }
        if exists("tokenizer.json") { return try TokenizerJSON.load(directory + "/tokenizer.json") }
        if exists("added_tokens.json") {
            throw InputError(
                "added_tokens.json",
                "is not supported; save the tokenizer with a current Transformers, which writes "
                    + "tokenizer.json")
        }
        let settings = try SpecialTokens(directory: directory)
        switch architecture {
        case .roberta where exists("vocab.json") && exists("merges.txt"):
            return try byteLevel(directory: directory, settings)
        case .bert where exists("vocab.txt"):
            return try wordPiece(directory: directory, settings)
        case .roberta: throw InputError(directory, "has no tokenizer: neither tokenizer.json nor vocab.json and merges.txt")
        case .bert: throw InputError(directory, "has no tokenizer: neither tokenizer.json nor vocab.txt")
        }
    }

    private static func byteLevel(directory: String, _ settings: SpecialTokens) throws(InputError) -> TextTokenizer {
        let bytes = try JSONFile.bytes(directory + "/vocab.json")
        var reader = JSONReader(bytes)
        let vocabulary: TokenTable
        do {
            vocabulary = TokenTable(try VocabularyFiles.entries(&reader))
            try reader.end()
        } catch {
            throw InputError("vocab.json", "is not a JSON object of tokens and ids: \(error)")
        }
        let (merges, lines) = try VocabularyFiles.merges(directory + "/merges.txt")
        let model = try ByteLevelBPE(
            vocabulary: vocabulary, merges: merges, addsPrefixSpace: settings.flag("add_prefix_space") ?? false,
            file: "merges.txt", place: { "line \(lines[$0])" })
        let defaults = [
            "bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "unk_token": "<unk>",
            "pad_token": "<pad>", "mask_token": "<mask>",
        ]
        return try settings.tokenizer(model, defaults: defaults, vocabularyFile: "vocab.json")
    }

    private static func wordPiece(directory: String, _ settings: SpecialTokens) throws(InputError) -> TextTokenizer {
        let vocabulary = TokenTable(try VocabularyFiles.lines(directory + "/vocab.txt"))
        let defaults = [
            "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]", "pad_token": "[PAD]", "mask_token": "[MASK]",
        ]
        let unknown = settings.content("unk_token") ?? "[UNK]"
        guard let unknownID = vocabulary[Array(unknown.utf8)] else {
            throw InputError("vocab.txt", "has no token \"\(unknown)\" (unk_token)")
        }
        let lowercases = settings.flag("do_lower_case") ?? true
        let normalizer = BertNormalizer(
            splitsChinese: settings.flag("tokenize_chinese_chars") ?? true,
            stripsAccents: settings.flag("strip_accents") ?? lowercases, lowercases: lowercases)
        let model = WordPiece(
            vocabulary: vocabulary, normalizer: normalizer, unknownID: unknownID, maximumWordLength: 100,
            continuation: Array("##".utf8))
        return try settings.tokenizer(model, defaults: defaults, vocabularyFile: "vocab.txt")
    }
}

/// `special_tokens_map.json` over `tokenizer_config.json`; either may be missing.
private struct SpecialTokens {
    private let sources: [JSONValue]

    init(directory: String) throws(InputError) {
        var sources: [JSONValue] = []
        for name in ["special_tokens_map.json", "tokenizer_config.json"]
        where FileManager.default.fileExists(atPath: "\(directory)/\(name)") {
            sources.append(try JSONFile.read("\(directory)/\(name)"))
        }
        self.sources = sources
    }

    func flag(_ name: String) -> Bool? { sources.lazy.compactMap { $0[name]?.bool }.first }

    func content(_ name: String) -> String? { value(name).flatMap { $0.string ?? $0["content"]?.string } }

    /// The special tokens become added tokens, `cls_token` and `sep_token` stand around every text.
    func tokenizer(
        _ model: some SubwordModel, defaults: [String: String], vocabularyFile: String
    ) throws(InputError) -> TextTokenizer {
        var added: [AddedTokens.Token] = []
        func id(_ name: String) throws(InputError) -> Int {
            let token = content(name) ?? defaults[name] ?? ""
            guard let id = model.vocabulary[Array(token.utf8)] else {
                throw InputError(vocabularyFile, "has no token \"\(token)\" (\(name))")
            }
            return id
        }
        func add(_ token: String, _ settings: JSONValue) {
            // A special token that the vocabulary lacks can stand in no text that the model was trained on.
            guard let id = model.vocabulary[Array(token.utf8)], !added.contains(where: { $0.id == id }) else { return }
            added.append(.init(content: Array(token.utf8), id: id, settings))
        }
        for name in defaults.keys.sorted() { add(content(name) ?? defaults[name] ?? "", value(name) ?? .null) }
        for token in value("additional_special_tokens")?.array ?? [] {
            add(token.string ?? token["content"]?.string ?? "", token)
        }
        for member in value("added_tokens_decoder")?.object ?? [] {
            add(member.value["content"]?.string ?? "", member.value)
        }
        return TextTokenizer(
            model: model, added: added, prefix: [try id("cls_token")], suffix: [try id("sep_token")])
    }

    private func value(_ name: String) -> JSONValue? {
        sources.lazy.compactMap { $0[name] }.first { !$0.isNull }
    }
}

/// The vocabularies' own formats.
enum VocabularyFiles {
    typealias Entry = (token: [UInt8], id: Int)
    typealias Merge = (left: [UInt8], right: [UInt8])

    /// `{"token": id, …}`
    static func entries(_ reader: inout JSONReader) throws(JSONError) -> [Entry] {
        var entries: [Entry] = []
        try reader.object { (reader, token) throws(JSONError) in
            let position = reader.position
            guard let id = try reader.value().integer, 0...Int(Int32.max) ~= id else {
                throw JSONError(offset: position, problem: "an id that is not a whole number")
            }
            entries.append((token, id))
        }
        return entries
    }

    /// One token a line; a line's number is its id.
    static func lines(_ path: String) throws(InputError) -> [Entry] {
        let bytes = try JSONFile.bytes(path)
        guard bytes.isValidUTF8 else { throw InputError((path as NSString).lastPathComponent, "is not valid UTF-8") }
        return split(bytes).enumerated().map { ($1, $0) }
    }

    /// `left right` a line, the strongest first, after a line `#version: …`; with each merge's line number.
    static func merges(_ path: String) throws(InputError) -> (merges: [Merge], lines: [Int]) {
        let name = (path as NSString).lastPathComponent
        var merges: [Merge] = []
        var lines: [Int] = []
        for (index, line) in split(try JSONFile.bytes(path)).enumerated() {
            if line.starts(with: "#version".utf8) || line.isEmpty { continue }
            guard let merge = merge(line) else {
                throw InputError(
                    name,
                    "line \(index + 1) is \"\(String(decoding: line, as: UTF8.self))\"; "
                        + "a merge is two tokens with one space between them")
            }
            merges.append(merge)
            lines.append(index + 1)
        }
        return (merges, lines)
    }

    static func merge(_ line: [UInt8]) -> Merge? {
        let parts = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        return (Array(parts[0]), Array(parts[1]))
    }

    /// Lines without their \n or \r\n; no empty one after the last.
    private static func split(_ bytes: [UInt8]) -> [[UInt8]] {
        var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
            .map { Array($0.last == 0x0D ? $0.dropLast() : $0) }
        if lines.last?.isEmpty == true { lines.removeLast() }
        return lines
    }
}
