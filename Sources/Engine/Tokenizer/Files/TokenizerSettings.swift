import Foundation

/// tokenizer_config.json with what Transformers merges into it: special_tokens_map.json and added_tokens.json, where it
/// has no `added_tokens_decoder`, and the added tokens of tokenizer.json.
struct TokenizerSettings {
    static let specialTokens = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]

    /// The last one of a name counts.
    private var members: [JSONValue.Member]
    /// By id, ascending.
    private(set) var addedTokens: [(id: Int, token: AddedToken)] = []
    private var byContent: [String: AddedToken] = [:]
    let family: TokenizerFamily
    /// The file to name in messages.
    let file: String

    init(
        directory: String, architecture: ModelConfig.Architecture, added: [(id: Int, token: AddedToken)]
    ) throws(InputError) {
        func read(_ name: String) throws(InputError) -> [JSONValue.Member]? {
            let path = "\(directory)/\(name)"
            guard FileManager.default.fileExists(atPath: path) else { return nil }
            guard let members = try JSONFile.read(path).object else { throw InputError(name, "is not a JSON object") }
            return members
        }
        let config = try read("tokenizer_config.json")
        members = config ?? []
        file = config == nil ? directory : "tokenizer_config.json"
        family = try Self.family(directory: directory, members, architecture)
        if let decoder = self["added_tokens_decoder"]?.object {
            for member in decoder {
                guard let id = Int(member.name), 0...Int(Int32.max) ~= id, let content = member.value["content"]?.string
                else {
                    throw InputError("tokenizer_config.json", "added_tokens_decoder holds one without an id and a content")
                }
                add(id, AddedToken(content, member.value))
            }
        } else {
            members += try read("special_tokens_map.json") ?? []
            let special = Set(Self.specialTokens.compactMap(content)).union(additionalTokens.map(\.content.text))
            for member in try read("added_tokens.json") ?? [] {
                guard let id = member.value.integer, 0...Int(Int32.max) ~= id else {
                    throw InputError("added_tokens.json", "the id of \"\(member.name)\" is not a whole number")
                }
                let isSpecial = special.contains(member.name)
                add(id, AddedToken(member.name, isSpecial: isSpecial, normalized: !isSpecial))
            }
            for (id, token) in added { add(id, token) }
        }
        addedTokens.sort { $0.id < $1.id }
    }

    private mutating func add(_ id: Int, _ token: AddedToken) {
        addedTokens.removeAll { $0.id == id }
        addedTokens.append((id, token))
        byContent[token.content.text] = token
    }

    /// tokenizer_config.json's class, else config.json's, else the architecture's. Whatever they say, ModernBERT's is the
    /// one of its tokenizer.json, as in Transformers.
    private static func family(
        directory: String, _ members: [JSONValue.Member], _ architecture: ModelConfig.Architecture
    ) throws(InputError) -> TokenizerFamily {
        let names = [
            ("tokenizer_config.json", JSONValue.object(members)["tokenizer_class"]?.string),
            ("config.json", try JSONFile.read(directory + "/config.json")["tokenizer_class"]?.string),
        ]
        guard let found = names.first(where: { $0.1 != nil }), let name = found.1 else {
            return architecture.tokenizerFamily
        }
        let named = try TokenizerFamily(named: name, file: found.0)
        return architecture.tokenizerFamily == .generic ? .generic : named
    }

    /// nil for null, too.
    subscript(name: String) -> JSONValue? {
        guard let value = JSONValue.object(members)[name], !value.isNull else { return .none }
        return .some(value)
    }

    func flag(_ name: String) throws(InputError) -> Bool? {
        guard let value = self[name] else { return nil }
        guard let flag = value.bool else { throw InputError(file, "\(name) is \(value.kind); it is true or false") }
        return flag
    }

    /// The content of a special token.
    func content(_ name: String) -> String? {
        guard let value = self[name] else { return family.defaultTokens.first { $0.key == name }?.value }
        return value.string ?? value["content"]?.string
    }

    /// Those that the tokenizer adds, in Transformers' order: by id, then the special ones, then the additional ones.
    ///
    /// - Parameters:
    ///   - additional: for where no file names additional ones.
    ///   - existing: what tokenizer.json has added already.
    func tokensToAdd(additional: [AddedToken] = [], existing: Set<[UInt8]> = []) -> [AddedToken] {
        var tokens = addedTokens.map(\.token)
        let others = members.map(\.name).filter { $0.hasSuffix("_token") && !Self.specialTokens.contains($0) }
        var named: [AddedToken] = []
        for name in Self.specialTokens + others {
            guard let content = content(name) else { continue }
            named.append(
                byContent[content]
                    ?? self[name].flatMap { $0.string == nil ? AddedToken(content, $0, isSpecial: true) : nil }
                    ?? AddedToken(content, isSpecial: true, stripsLeft: name == "mask_token" && family.stripsBeforeMask))
        }
        let contents = Set(named.map(\.content))
        for index in tokens.indices where contents.contains(tokens[index].content) { tokens[index].isSpecial = true }
        let known = existing.union(tokens.map(\.content))
        tokens += named.filter { !known.contains($0.content) }
        let extra = self["extra_special_tokens"] ?? self["additional_special_tokens"]
        for token in extra == nil ? additional : additionalTokens
        where !existing.contains(token.content) && !tokens.contains(where: { $0.content == token.content }) {
            tokens.append(token)
        }
        return tokens
    }

    /// `extra_special_tokens`, once `additional_special_tokens`: a list, or an object of names and tokens.
    private var additionalTokens: [AddedToken] {
        let value = self["extra_special_tokens"] ?? self["additional_special_tokens"] ?? .null
        return (value.array ?? value.object?.map(\.value) ?? []).compactMap { token in
            if let content = token.string { return byContent[content] ?? AddedToken(content, isSpecial: true) }
            return token["content"]?.string.map { AddedToken($0, token, isSpecial: true) }
        }
    }

    /// Whether a file says that there is such a token beside the vocabulary.
    func adds(_ content: String) -> Bool { byContent[content] != nil }

    /// Tokens that no file names but the class has by default.
    func isDefault(_ token: AddedToken) -> Bool {
        byContent[token.content.text] == nil
            && !Self.specialTokens.contains { self[$0] != nil && content($0) == token.content.text }
            && !additionalTokens.contains { $0.content == token.content }
    }

    /// `model_max_length`, where it is a limit: Transformers writes int(1e30) for none.
    func maximumTokens() throws(InputError) -> Int? {
        guard let value = self["model_max_length"] ?? self["max_len"], let length = value.double else { return nil }
        if length >= 1e9 { return nil }
        guard let limit = value.integer, limit > 0 else {
            throw InputError(file, "model_max_length must be a whole number above 0")
        }
        return limit
    }

    /// Whether the model is told which text a token is of; by `model_input_names`, else as the class has it.
    func tellsTypes() throws(InputError) -> Bool {
        guard let value = self["model_input_names"] else { return family == .bert || family == .debertaV2 }
        guard let names = value.array, names.allSatisfy({ $0.string != nil }) else {
            throw InputError(file, "model_input_names is \(value.kind); it is a list of names")
        }
        return names.contains { $0.string == "token_type_ids" }
    }

    /// Whether the end is kept of what does not fit.
    func truncatesLeft() throws(InputError) -> Bool? {
        guard let side = self["truncation_side"] else { return nil }
        guard let name = side.string, ["left", "right"].contains(name) else {
            throw InputError(file, "truncation_side must be left or right")
        }
        return name == "left"
    }
}

extension [UInt8] {
    var text: String { String(decoding: self, as: UTF8.self) }
}
