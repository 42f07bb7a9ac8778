import Foundation

/// The stages that a tokenizer.json describes.
extension TokenizerJSON {
    private static var file: String { name }

    /// nil for none.
    static func normalizer(_ value: JSONValue) throws(InputError) -> (any Normalizer)? {
        switch value["type"]?.string {
        case nil where value.isNull: return nil
        case "BertNormalizer", "Bert":
            let lowercases = value["lowercase"]?.bool ?? true
            return BertNormalizer(
                cleansText: value["clean_text"]?.bool ?? true, splitsChinese: value["handle_chinese_chars"]?.bool ?? true,
                stripsAccents: value["strip_accents"]?.bool ?? lowercases, lowercases: lowercases)
        case "Sequence":
            var normalizers: [any Normalizer] = []
            for part in value["normalizers"]?.array ?? [] {
                if let normalizer = try normalizer(part) { normalizers.append(normalizer) }
            }
            return NormalizerSequence(normalizers: normalizers)
        case let form? where UnicodeForm(rawValue: form) != nil: return UnicodeForm(rawValue: form)
        case "Lowercase": return Lowercase()
        case "StripAccents": return StripAccents()
        case "Nmt": return Nmt()
        case "ByteLevel": return ByteLevelNormalizer()
        case "Strip":
            return Strip(left: value["strip_left"]?.bool ?? true, right: value["strip_right"]?.bool ?? true)
        case "Prepend": return Prepend(prefix: try bytes(value, "prepend"))
        case "Replace":
            return Replace(
                pattern: try TextPattern(value["pattern"] ?? .null, file: file), content: try bytes(value, "content"))
        case "Precompiled": return try precompiled(value)
        default:
            throw unsupported(
                "normalizer", value,
                [
                    "BertNormalizer", "Sequence", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents",
                    "Replace", "Prepend", "Precompiled", "ByteLevel", "Nmt",
                ])
        }
    }

    private static func bytes(_ value: JSONValue, _ name: String) throws(InputError) -> [UInt8] {
        guard let text = value[name]?.string else {
            throw InputError(file, "\(value["type"]?.string ?? "a component") has no \"\(name)\"")
        }
        return Array(text.utf8)
    }

    private static func precompiled(_ value: JSONValue) throws(InputError) -> Precompiled {
        guard let text = value["precompiled_charsmap"]?.string, let charsmap = Data(base64Encoded: text) else {
            throw InputError(file, "precompiled_charsmap is not base64")
        }
        return try Precompiled(charsmap: Array(charsmap), file: file)
    }

    /// The map of the normalizer, or of one of its parts: what classes keep of it that build their own.
    func precompiled() throws(InputError) -> Precompiled? {
        let normalizer = self["normalizer"]
        let parts = normalizer["type"]?.string == "Sequence" ? normalizer["normalizers"]?.array ?? [] : [normalizer]
        guard let found = parts.first(where: { $0["type"]?.string == "Precompiled" }) else { return nil }
        return try Self.precompiled(found)
    }

    static func preTokenizer(_ value: JSONValue) throws(InputError) -> (any PreTokenizer)? {
        switch value["type"]?.string {
        case nil where value.isNull: return nil
        case "BertPreTokenizer": return BertPreTokenizer()
        case "ByteLevel":
            return ByteLevel(
                addsPrefixSpace: value["add_prefix_space"]?.bool ?? true, usesPattern: value["use_regex"]?.bool ?? true)
        case "Metaspace": return try metaspace(value)
        case "Whitespace": return Whitespace()
        case "WhitespaceSplit": return WhitespaceSplit()
        case "Digits": return Digits(areIndividual: value["individual_digits"]?.bool ?? false)
        case "Punctuation": return Punctuation(behavior: try behavior(value, default: .isolated))
        case "CharDelimiterSplit", "Delimiter":
            guard let delimiter = value["delimiter"]?.string?.unicodeScalars, delimiter.count == 1 else {
                throw InputError(file, "the delimiter of CharDelimiterSplit is not one character")
            }
            return CharDelimiterSplit(delimiter: delimiter.first?.value ?? 0)
        case "Split":
            return Split(
                pattern: try TextPattern(value["pattern"] ?? .null, file: file),
                behavior: try behavior(value, default: nil), isInverted: value["invert"]?.bool ?? false)
        case "Sequence":
            var preTokenizers: [any PreTokenizer] = []
            for part in value["pretokenizers"]?.array ?? [] {
                if let preTokenizer = try preTokenizer(part) { preTokenizers.append(preTokenizer) }
            }
            return PreTokenizerSequence(preTokenizers: preTokenizers)
        default:
            throw unsupported(
                "pre_tokenizer", value,
                [
                    "BertPreTokenizer", "ByteLevel", "Metaspace", "Whitespace", "WhitespaceSplit", "Split", "Digits",
                    "Punctuation", "CharDelimiterSplit", "Sequence",
                ])
        }
    }

    private static func behavior(_ value: JSONValue, default standard: SplitBehavior?) throws(InputError) -> SplitBehavior {
        if let behavior = value["behavior"]?.string.flatMap(SplitBehavior.init) { return behavior }
        if value["behavior"] == nil, let standard { return standard }
        throw InputError(
            file,
            "the behavior of \(value["type"]?.string ?? "") must be one of "
                + SplitBehavior.allCases.map(\.rawValue).joined(separator: ", "))
    }

    private static func metaspace(_ value: JSONValue) throws(InputError) -> Metaspace {
        guard let replacement = value["replacement"]?.string, replacement.unicodeScalars.count == 1 else {
            throw InputError(file, "the replacement of Metaspace is not one character")
        }
        var scheme = Metaspace.PrependScheme.always
        if let name = value["prepend_scheme"]?.string {
            guard let known = Metaspace.PrependScheme(rawValue: name) else {
                throw InputError(file, "prepend_scheme \(name) is not supported; supported: always, first, never")
            }
            scheme = known
        }
        // Files of before 2024 have this instead.
        if value["add_prefix_space"]?.bool == false {
            guard value["prepend_scheme"] == nil || scheme == .never else {
                throw InputError(file, "add_prefix_space false of Metaspace contradicts prepend_scheme \(scheme)")
            }
            scheme = .never
        }
        return Metaspace(
            replacement: Array(replacement.utf8), prependScheme: scheme, splits: value["split"]?.bool ?? true)
    }

    func tokenizerModel() throws(InputError) -> any TokenizerModel {
        switch modelType {
        case "BPE": return try bpe()
        case "WordPiece":
            let longest = model["max_input_chars_per_word"]?.integer ?? 100
            guard 1...1000 ~= longest else {
                throw InputError(
                    Self.file, "max_input_chars_per_word \(longest) is not supported; supported: 1 to 1000")
            }
            let table = TokenTable(vocabulary)
            return WordPiece(
                vocabulary: table, unknownID: try unknown(table, default: "[UNK]"), maximumWordLength: longest,
                continuation: Array((model["continuing_subword_prefix"]?.string ?? "##").utf8))
        case "WordLevel":
            let table = TokenTable(vocabulary)
            return WordLevel(vocabulary: table, unknownID: try unknown(table, default: "<unk>"))
        case "Unigram":
            guard let pieces else { throw InputError(Self.file, "the vocabulary of Unigram is not a list of pieces") }
            guard let unknown = model["unk_id"]?.integer else {
                throw InputError(Self.file, "Unigram has no unk_id; what the vocabulary lacks would have no id")
            }
            return try Unigram(
                UnigramVocabulary(pieces), unknownID: unknown, fallsBackToBytes: model["byte_fallback"]?.bool ?? false,
                file: Self.file)
        default:
            throw Self.unsupported(
                "model", model["type"] == nil ? ["type": .string(modelType)] : model,
                ["BPE", "WordPiece", "Unigram", "WordLevel"])
        }
    }

    private func unknown(_ table: TokenTable, default standard: String) throws(InputError) -> Int {
        let unknown = model["unk_token"]?.string ?? standard
        guard let id = table[Array(unknown.utf8)] else {
            throw InputError(Self.file, "the vocabulary has no token \"\(unknown)\" (unk_token)")
        }
        return id
    }

    private func bpe() throws(InputError) -> BPE {
        if let dropout = model["dropout"]?.double, dropout > 0 {
            throw InputError(Self.file, "dropout \(dropout) would make token ids random; set it to null")
        }
        return try BPE(
            vocabulary: TokenTable(vocabulary), merges: merges,
            .init(
                unknown: model["unk_token"]?.string.map { Array($0.utf8) }, fusesUnknown: model["fuse_unk"]?.bool ?? false,
                fallsBackToBytes: model["byte_fallback"]?.bool ?? false,
                prefix: Array((model["continuing_subword_prefix"]?.string ?? "").utf8),
                suffix: Array((model["end_of_word_suffix"]?.string ?? "").utf8),
                ignoresMerges: model["ignore_merges"]?.bool ?? false),
            file: Self.file, place: { "merge \($0 + 1)" })
    }

    static func postProcessor(_ value: JSONValue) throws(InputError) -> PostProcessor {
        switch value["type"]?.string {
        case nil where value.isNull: return .none
        case "ByteLevel": return .none  // changes offsets only
        case "BertProcessing": return .bert(cls: try id(value, "cls"), sep: try id(value, "sep"))
        case "RobertaProcessing": return .roberta(cls: try id(value, "cls"), sep: try id(value, "sep"))
        case "TemplateProcessing":
            return PostProcessor(single: try template(value, "single"), pair: try template(value, "pair"))
        case "Sequence":
            var processors: [PostProcessor] = []
            for part in value["processors"]?.array ?? [] { processors.append(try postProcessor(part)) }
            processors.removeAll { $0 == .none }
            guard processors.count <= 1 else {
                throw InputError(file, "post_processor Sequence of two templates is not supported; supported: one")
            }
            return processors.first ?? .none
        default:
            throw unsupported(
                "post_processor", value,
                ["TemplateProcessing", "BertProcessing", "RobertaProcessing", "ByteLevel", "Sequence"])
        }
    }

    /// Of `["[SEP]", 3]`.
    private static func id(_ value: JSONValue, _ name: String) throws(InputError) -> Int {
        guard let id = value[name]?.array?.last?.integer, 0...Int(Int32.max) ~= id else {
            throw InputError(file, "post_processor names \"\(name)\" without its ids")
        }
        return id
    }

    private static func template(_ value: JSONValue, _ name: String) throws(InputError) -> [PostProcessor.Part] {
        var parts: [PostProcessor.Part] = []
        for piece in value[name]?.array ?? [] {
            let content: PostProcessor.Part.Content
            if let token = piece["SpecialToken"]?["id"]?.string {
                let ids = value["special_tokens"]?[token]?["ids"]?.array?.map(\.integer) ?? []
                let known = ids.compactMap(\.self).filter { 0...Int(Int32.max) ~= $0 }
                guard !ids.isEmpty, known.count == ids.count else {
                    throw InputError(file, "post_processor names \"\(token)\" without its ids")
                }
                content = .tokens(known)
            } else {
                switch piece["Sequence"]?["id"]?.string {
                case "A": content = .first
                case "B": content = .second
                default: throw InputError(file, "post_processor (\(name)) holds neither a SpecialToken nor a Sequence")
                }
            }
            let type = (piece["SpecialToken"] ?? piece["Sequence"])?["type_id"]?.integer ?? 0
            parts.append(.init(content: content, type: type))
        }
        if let problem = PostProcessor.problem(parts, isPair: name == "pair") {
            throw InputError(file, "post_processor (\(name)) \(problem), which is not supported")
        }
        return parts
    }
}
