import Foundation

/// The classes that build a Unigram tokenizer, from a tokenizer.json or from SentencePiece's own file: XLM-RoBERTa,
/// CamemBERT, ALBERT, DeBERTa v2.
extension TokenizerFiles {
    private struct Source {
        var vocabulary: UnigramVocabulary
        var unknownID: Int
        var precompiled: Precompiled?
        /// Added where no file names additional tokens.
        var additional: [AddedToken]
        var file: String
    }

    func sentencePiece(_ vocabularySize: Int) throws(InputError) -> TextTokenizer {
        let source: Source
        if let json {
            source = try self.source(json)
        } else {
            source = try self.source(try SentencePieceModel("\(directory)/\(family.files[0])"))
        }
        let model = try Unigram(
            source.vocabulary, unknownID: source.unknownID, fallsBackToBytes: false, file: source.file)
        let vocabulary = added(to: model, additional: source.additional, vocabularySize)
        let addsPrefixSpace = try settings.flag("add_prefix_space") ?? true
        let metaspace = Metaspace(
            replacement: Array("▁".utf8),
            prependScheme: addsPrefixSpace ? .always : family == .debertaV2 ? .first : .never, splits: true)
        var preTokenizers: [any PreTokenizer] = [WhitespaceSplit(), metaspace]
        if family == .debertaV2 {
            preTokenizers = try settings.flag("split_by_punct") == true ? [Punctuation(behavior: .isolated)] : []
            preTokenizers.append(metaspace)
        }
        return TextTokenizer(
            added: vocabulary.tokens, normalizer: try normalizer(source.precompiled),
            preTokenizer: PreTokenizerSequence(preTokenizers: preTokenizers), model: model,
            postProcessor: try postProcessor(vocabulary, source.file))
    }

    private func normalizer(_ precompiled: Precompiled?) throws(InputError) -> (any Normalizer)? {
        switch family {
        case .albert:
            let quote = Array("\"".utf8)
            var normalizers: [any Normalizer] = [
                Replace(pattern: .literal(Array("``".utf8)), content: quote),
                Replace(pattern: .literal(Array("''".utf8)), content: quote),
            ]
            if try settings.flag("keep_accents") != true { normalizers += [UnicodeForm.nfkd, StripAccents()] }
            if try settings.flag("do_lower_case") ?? true { normalizers.append(Lowercase()) }
            if let precompiled { normalizers.append(precompiled) }
            return NormalizerSequence(normalizers: normalizers)
        case .debertaV2:
            let spaces = Regex(trusted: #"\s{2,}|[\n\r\t]"#)
            var normalizers: [any Normalizer] = try settings.flag("do_lower_case") == true ? [Lowercase()] : []
            normalizers += [
                Replace(pattern: .regex(spaces), content: Array(" ".utf8)), UnicodeForm.nfc, Strip(left: false, right: true),
            ]
            return NormalizerSequence(normalizers: normalizers)
        default: return precompiled
        }
    }

    private func postProcessor(_ vocabulary: AddedVocabulary, _ file: String) throws(InputError) -> PostProcessor {
        switch family {
        case .albert:
            if let json, !json["post_processor"].isNull { return try TokenizerJSON.postProcessor(json["post_processor"]) }
            return .bert(cls: try id("cls_token", vocabulary, file), sep: try id("sep_token", vocabulary, file))
        case .debertaV2:
            return .bert(cls: try id("cls_token", vocabulary, file), sep: try id("sep_token", vocabulary, file))
        default: return .roberta(cls: try id("bos_token", vocabulary, file), sep: try id("eos_token", vocabulary, file))
        }
    }

    // MARK: - Vocabularies

    private func source(_ json: TokenizerJSON) throws(InputError) -> Source {
        guard let pieces = json.pieces.map(UnigramVocabulary.init) else { throw mismatch(json) }
        let additional = ["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"].map { AddedToken($0, isSpecial: true) }
        return Source(
            vocabulary: pieces, unknownID: unknownID(pieces, settings["unk_id"]?.integer ?? 1),
            precompiled: try json.precompiled(), additional: family == .camembert ? additional : [],
            file: TokenizerJSON.name)
    }

    private func source(_ file: SentencePieceModel) throws(InputError) -> Source {
        guard family != .camembert || file.kind == .unigram else {
            throw InputError(file.file, "is not a Unigram model, which CamembertTokenizer needs")
        }
        var gathered = UnigramPieces()
        func append(_ token: [UInt8], _ score: Double) throws(InputError) {
            if let problem = gathered.append(token, score) { throw InputError(file.file, "has \(problem)") }
        }
        func append(_ name: String) throws(InputError) { try append(Array((settings.content(name) ?? "").utf8), 0) }
        var pieces = file.pieces[...]
        // fairseq has special tokens of its own before the pieces, and <mask> behind them.
        switch family {
        case .xlmRoberta:
            for name in ["bos_token", "pad_token", "eos_token", "unk_token"] { try append(name) }
            pieces = pieces.dropFirst(3)
        case .camembert:
            try append(Array("<s>NOTUSED".utf8), 0)
            try append("pad_token")
            try append(Array("</s>NOTUSED".utf8), 0)
            try append("unk_token")
            try append(Array("<unk>NOTUSED".utf8), -100)
            pieces = pieces.dropFirst(1)
        default: break
        }
        for piece in pieces { try append(piece.token, Double(piece.score)) }
        if family == .xlmRoberta || family == .camembert { try append("mask_token") }
        let vocabulary = UnigramVocabulary(gathered)
        return Source(
            vocabulary: vocabulary, unknownID: unknownID(vocabulary, file.unknownID),
            precompiled: file.charsmap.isEmpty || family == .debertaV2
                ? nil : try Precompiled(charsmap: file.charsmap, file: file.file),
            additional: file.addedTokens, file: file.file)
    }

    /// - Parameter standard: for DeBERTa v2, where the vocabulary has no unknown token of score 0.
    private func unknownID(_ vocabulary: UnigramVocabulary, _ standard: Int) -> Int {
        func place(of token: String?) -> Int? { vocabulary.firstPlace(of: Array((token ?? "").utf8)) }
        switch family {
        case .xlmRoberta: return 3
        case .albert: return 1
        case .camembert: return place(of: settings.content("unk_token")) ?? 0
        default:
            if let id = place(of: settings.content("unk_token")), vocabulary.scores[id] == 0 { return id }
            return standard
        }
    }
}
