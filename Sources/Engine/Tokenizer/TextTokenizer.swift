/// Turns words into ids: byte-level BPE or WordPiece.
protocol SubwordModel: Sendable {
    var vocabulary: TokenTable { get }

    /// Appends the ids of a piece of text that holds no added token.
    func encode(_ text: UnsafeBufferPointer<UInt8>, into ids: inout [Int])
}

/// A text's token ids as the model sees them.
public struct Encoding: Sendable, Equatable {
    /// With special tokens, truncated.
    public let ids: [Int]
    /// How many there were before truncation.
    public let untruncatedCount: Int

    public var isTruncated: Bool { ids.count < untruncatedCount }
}

/// A model directory's tokenizer, with the model's text preparation and its limit of tokens.
public struct TextTokenizer: Sendable {
    let model: any SubwordModel
    let addedTokens: AddedTokens
    /// Around every text, such as `<s>` and `</s>`.
    let prefix: [Int]
    let suffix: [Int]
    private let added: [AddedTokens.Token]

    public var preparation = TextPreparation.tweet
    public var maximumTokens = Int.max

    init(model: any SubwordModel, added: [AddedTokens.Token], prefix: [Int], suffix: [Int]) {
        self.model = model
        addedTokens = AddedTokens(added)
        self.prefix = prefix
        self.suffix = suffix
        self.added = added
    }

    /// The ids of `text`: prepared, with special tokens, the end cut off where it does not fit.
    public func encode(_ text: String) -> Encoding {
        var ids = prefix
        preparation.prepare(Array(text.utf8)).withUnsafeBufferPointer { bytes in
            for piece in addedTokens.split(bytes) {
                switch piece {
                case .token(let id): ids.append(id)
                case .text(let range): model.encode(UnsafeBufferPointer(rebasing: bytes[range]), into: &ids)
                }
            }
        }
        let count = ids.count + suffix.count
        if count > maximumTokens { ids.removeLast(count - maximumTokens) }
        return Encoding(ids: ids + suffix, untruncatedCount: count)
    }

    /// All tokens as they stand in the vocabulary, by id.
    public func tokensByID() -> [Int: String] {
        let tokens = model.vocabulary.entries + added.map { ($0.content, $0.id) }
        return Dictionary(tokens.map { ($0.1, String(decoding: $0.0, as: UTF8.self)) }) { $1 }
    }

    /// What the model's embeddings must have a row for.
    var largestID: Int {
        max(model.vocabulary.largestID, (added.map(\.id) + prefix + suffix).max() ?? 0)
    }
}
