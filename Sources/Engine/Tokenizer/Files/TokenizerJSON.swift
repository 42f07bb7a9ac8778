import Foundation

/// `tokenizer.json`, as the `tokenizers` library writes it. Its truncation and padding are not used, but for the side that
/// is cut off: what fits is the model's matter, and nothing is padded. A component that is not supported is an error that
/// names it.
struct TokenizerJSON {
    static let name = "tokenizer.json"

    private var members: [JSONValue.Member] = []
    private var modelMembers: [JSONValue.Member] = []
    /// Of the model: tokens and ids, or pieces and scores.
    private(set) var vocabulary: [VocabularyFiles.Entry] = []
    private(set) var pieces: UnigramPieces?
    private(set) var merges: [VocabularyFiles.Merge] = []

    init(_ path: String) throws(InputError) {
        let bytes = try JSONFile.bytes(path)
        do {
            try read(bytes)
        } catch {
            throw InputError(Self.name, "cannot be read: \(error)")
        }
    }

    private mutating func read(_ bytes: [UInt8]) throws(JSONError) {
        var reader = JSONReader(bytes)
        try reader.object { (reader, name) throws(JSONError) in
            if name.elementsEqual("model".utf8) {
                try readModel(&reader)
            } else {
                members.append(.init(name.text, try reader.value()))
            }
        }
        try reader.end()
    }

    private mutating func readModel(_ reader: inout JSONReader) throws(JSONError) {
        try reader.object { (reader, name) throws(JSONError) in
            if name.elementsEqual("vocab".utf8) {
                if try reader.nextIsArray() {
                    pieces = try VocabularyFiles.pieces(&reader)
                } else {
                    vocabulary = try VocabularyFiles.entries(&reader)
                }
            } else if name.elementsEqual("merges".utf8) {
                try readMerges(&reader)
            } else {
                modelMembers.append(.init(name.text, try reader.value()))
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

    subscript(name: String) -> JSONValue { JSONValue.object(members)[name] ?? .null }

    var model: JSONValue { .object(modelMembers) }

    /// Older files leave the type out; the library tries the models in this order.
    var modelType: String {
        if let type = model["type"]?.string { return type }
        if pieces != nil { return "Unigram" }
        if !merges.isEmpty { return "BPE" }
        return model["continuing_subword_prefix"] != nil || model["unk_token"] == nil ? "WordPiece" : "WordLevel"
    }

    /// The tokens that are found in the text, with their ids in this file.
    func addedTokens() throws(InputError) -> [(id: Int, token: AddedToken)] {
        var tokens: [(id: Int, token: AddedToken)] = []
        for token in self["added_tokens"].array ?? [] {
            guard let content = token["content"]?.string, let id = token["id"]?.integer, 0...Int(Int32.max) ~= id else {
                throw InputError(Self.name, "added_tokens holds one without a content and an id")
            }
            tokens.append((id, AddedToken(content, token)))
        }
        return tokens
    }

    /// The side that its own truncation cuts off, which is the tokenizer's unless tokenizer_config.json says another.
    var truncatesLeft: Bool? { self["truncation"]["direction"]?.string.map { $0.lowercased() == "left" } }

    static func unsupported(_ what: String, _ value: JSONValue, _ supported: [String]) -> InputError {
        let found = value["type"]?.string ?? Array(value.serialized().prefix(200)).text
        return InputError(
            Self.name, "\(what) \(found) is not supported; supported: \(supported.joined(separator: ", "))")
    }
}
