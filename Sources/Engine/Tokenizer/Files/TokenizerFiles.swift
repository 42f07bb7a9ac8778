import Foundation

/// A model directory's tokenizer, as Transformers' AutoTokenizer reads it. Where the class is one that builds its own stages
/// (BERT's, RoBERTa's, …), tokenizer.json gives it the vocabulary only, and tokenizer_config.json the settings.
extension TextTokenizer {
    /// The tokenizer of a model directory; it does not need the weights.
    public init(_ directory: ModelDirectory, preparation: TextPreparation? = nil) throws(InputError) {
        try self.init(directory, config: try ModelConfig(directory: directory.path), preparation: preparation)
    }

    /// - Parameter preparation: nil for what config.json says, which is `tweet` where it says nothing.
    init(_ directory: ModelDirectory, config: ModelConfig, preparation: TextPreparation?) throws(InputError) {
        let files = try TokenizerFiles(directory.path, architecture: config.architecture)
        self = try files.tokenizer(vocabularySize: config.vocabulary.value)
        guard largestID < config.vocabulary.value else {
            throw InputError(
                "config.json",
                "vocab_size is \(config.vocabulary.value), but the tokenizer has the id \(largestID). "
                    + "Check that both come from the same model")
        }
        self.preparation = preparation ?? config.textPreparation ?? .tweet
        maximumTokens = min(config.maximumTokens, try files.settings.maximumTokens() ?? .max)
        truncatesLeft = try files.settings.truncatesLeft() ?? files.json?.truncatesLeft ?? false
        tellsTypes = try files.settings.tellsTypes()
        guard case .tokens? = postProcessor.single.first?.content else {
            throw InputError(
                directory.path, "the tokenizer puts no special token before a text; a classifier reads the first token")
        }
        let special = max(postProcessor.added(isPair: false), postProcessor.added(isPair: true))
        guard special <= maximumTokens else {
            let isOfTokenizer = maximumTokens < config.maximumTokens
            throw InputError(
                isOfTokenizer ? files.settings.file : "config.json",
                "\(isOfTokenizer ? "model_max_length" : "max_position_embeddings") leaves no room for a text")
        }
    }
}

/// The files of a tokenizer, and what becomes of them.
struct TokenizerFiles {
    let directory: String
    let json: TokenizerJSON?
    let settings: TokenizerSettings
    var family: TokenizerFamily { settings.family }

    init(_ directory: String, architecture: ModelConfig.Architecture) throws(InputError) {
        self.directory = directory
        let path = directory + "/" + TokenizerJSON.name
        json = FileManager.default.fileExists(atPath: path) ? try TokenizerJSON(path) : nil
        settings = try TokenizerSettings(
            directory: directory, architecture: architecture, added: try json?.addedTokens() ?? [])
    }

    private func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(directory)/\(name)") }

    func tokenizer(vocabularySize: Int) throws(InputError) -> TextTokenizer {
        let isPython = family == .bertweet || family == .phobert
        guard json != nil && !isPython || !family.files.isEmpty && family.files.allSatisfy(exists) else {
            let files = family.files.joined(separator: " and ")
            let missing = isPython ? "no \(files)" : "neither tokenizer.json nor \(files)"
            throw InputError(directory, "has no tokenizer: \(files.isEmpty ? "no tokenizer.json" : missing)")
        }
        switch family {
        case .generic: return try generic(vocabularySize)
        case .bert, .mpnet: return try bert(vocabularySize)
        case .roberta: return try roberta(vocabularySize)
        case .xlmRoberta, .camembert, .albert, .debertaV2: return try sentencePiece(vocabularySize)
        case .bertweet, .phobert: return try fastBPE(vocabularySize)
        }
    }

    // MARK: - Added tokens

    /// - Parameter first: those that are added before all others, of a tokenizer.json taken as it is.
    func added(
        to model: any TokenizerModel, first: [AddedToken] = [], additional: [AddedToken] = [], _ vocabularySize: Int
    ) -> AddedVocabulary {
        var vocabulary = AddedVocabulary(model)
        vocabulary.add(first)
        vocabulary.add(settings.tokensToAdd(additional: additional, existing: Set(first.map(\.content))))
        removeUnreachable(&vocabulary, vocabularySize)
        return vocabulary
    }

    func removeUnreachable(_ vocabulary: inout AddedVocabulary, _ vocabularySize: Int) {
        // A token that a class has by default, but neither the vocabulary nor the model's embeddings, is in no text that
        // the model was trained on.
        for (id, token) in vocabulary.tokens
        where id >= vocabularySize && vocabulary.model.id(of: token.content) == nil && settings.isDefault(token) {
            vocabulary.remove(id)
        }
    }

    /// The id of `cls_token` and its like.
    func id(_ name: String, _ vocabulary: AddedVocabulary, _ file: String) throws(InputError) -> Int {
        let token = settings.content(name) ?? ""
        // Transformers adds one that is missing; the model has learnt nothing of it.
        guard let id = vocabulary.id(of: Array(token.utf8)),
            vocabulary.model.id(of: Array(token.utf8)) != nil || settings.adds(token)
        else { throw InputError(file, "has no token \"\(token)\" (\(name))") }
        return id
    }

    // MARK: - Classes

    /// All as tokenizer.json has it.
    private func generic(_ vocabularySize: Int) throws(InputError) -> TextTokenizer {
        guard let json else { throw InputError(directory, "has no tokenizer: no tokenizer.json") }
        let model = try json.tokenizerModel()
        let vocabulary = added(to: model, first: try json.addedTokens().map(\.token), vocabularySize)
        return TextTokenizer(
            added: vocabulary.tokens, normalizer: try TokenizerJSON.normalizer(json["normalizer"]),
            preTokenizer: try TokenizerJSON.preTokenizer(json["pre_tokenizer"]), model: model,
            postProcessor: try TokenizerJSON.postProcessor(json["post_processor"]))
    }

    private func bert(_ vocabularySize: Int) throws(InputError) -> TextTokenizer {
        let file = json == nil ? "vocab.txt" : TokenizerJSON.name
        let table: TokenTable
        if let json {
            table = TokenTable(try entries(json))
        } else {
            table = TokenTable(try VocabularyFiles.lines(directory + "/vocab.txt"))
        }
        let unknown = settings.content("unk_token") ?? "[UNK]"
        guard let unknownID = table[Array(unknown.utf8)] else {
            throw InputError(file, "has no token \"\(unknown)\" (unk_token)")
        }
        let lowercases = try settings.flag("do_lower_case") ?? true
        let normalizer = BertNormalizer(
            splitsChinese: try settings.flag("tokenize_chinese_chars") ?? true,
            stripsAccents: try settings.flag("strip_accents") ?? lowercases, lowercases: lowercases)
        let model = WordPiece(
            vocabulary: table, unknownID: unknownID, maximumWordLength: 100, continuation: Array("##".utf8))
        let vocabulary = added(to: model, vocabularySize)
        let (cls, sep) = (try id("cls_token", vocabulary, file), try id("sep_token", vocabulary, file))
        return TextTokenizer(
            added: vocabulary.tokens, normalizer: normalizer, preTokenizer: BertPreTokenizer(), model: model,
            postProcessor: family == .bert ? .bert(cls: cls, sep: sep) : .roberta(cls: cls, sep: sep))
    }

    /// The vocabulary of a tokenizer.json whose class builds the rest.
    private func entries(_ json: TokenizerJSON) throws(InputError) -> [VocabularyFiles.Entry] {
        guard json.pieces == nil else { throw mismatch(json) }
        return json.vocabulary
    }

    func mismatch(_ json: TokenizerJSON) -> InputError {
        InputError(
            TokenizerJSON.name,
            "its model \(json.modelType) is not one that the tokenizer's class reads. Check tokenizer_class in "
                + "tokenizer_config.json; PreTrainedTokenizerFast takes tokenizer.json as it is")
    }

    private func roberta(_ vocabularySize: Int) throws(InputError) -> TextTokenizer {
        let file: String
        let model: BPE
        if let json {
            guard json.modelType == "BPE" else { throw mismatch(json) }
            file = TokenizerJSON.name
            model = try BPE(
                vocabulary: TokenTable(try entries(json)), merges: json.merges, .init(), file: file,
                place: { "merge \($0 + 1)" })
        } else {
            file = "vocab.json"
            let table = TokenTable(try VocabularyFiles.entries(directory + "/vocab.json"))
            for byte in UInt8.min...UInt8.max where table[ByteLevel.symbol(byte)] == nil {
                throw InputError(
                    "merges.txt",
                    "the vocabulary has no token \"\(ByteLevel.symbol(byte).text)\" for byte \(byte); "
                        + "byte-level BPE needs all 256")
            }
            let (merges, lines) = try VocabularyFiles.merges(directory + "/merges.txt")
            model = try BPE(
                vocabulary: table, merges: merges, .init(), file: "merges.txt", place: { "line \(lines[$0])" })
        }
        let vocabulary = added(to: model, vocabularySize)
        return TextTokenizer(
            added: vocabulary.tokens, normalizer: nil,
            preTokenizer: ByteLevel(
                addsPrefixSpace: try settings.flag("add_prefix_space") ?? false, usesPattern: true),
            model: model,
            postProcessor: .roberta(
                cls: try id("cls_token", vocabulary, file), sep: try id("sep_token", vocabulary, file)))
    }
}
