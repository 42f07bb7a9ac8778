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

/// A text that a model cannot take.
public struct TextError: Error, Equatable, CustomStringConvertible {
    /// The place of the text among those given.
    public let index: Int
    public let problem: String

    public var description: String { "text \(index + 1) \(problem)" }
}

/// A model directory's tokenizer, with the model's text preparation and its limit of tokens.
public struct TextTokenizer: Sendable {
    let model: any SubwordModel
    let addedTokens: AddedTokens
    /// Around every text, such as `<s>` and `</s>`.
    let prefix: [Int]
    let suffix: [Int]
    private let added: [AddedTokens.Token]

    /// A longer text, in characters (Unicode scalars), is refused.
    public static let maximumCharacters = 100_000

    public internal(set) var preparation = TextPreparation.tweet
    /// The most tokens of one text that the model reads, special tokens included.
    public internal(set) var maximumTokens = Int.max

    init(model: any SubwordModel, added: [AddedTokens.Token], prefix: [Int], suffix: [Int]) {
        self.model = model
        addedTokens = AddedTokens(added)
        self.prefix = prefix
        self.suffix = suffix
        self.added = added
    }

    /// The ids of `text`: prepared, with special tokens, the end cut off where it does not fit.
    public func encode(_ text: String, index: Int = 0) throws(TextError) -> Encoding {
        try Self.check(text, index: index, maximumTokens: maximumTokens)
        return encodeUnchecked(Array(text.utf8))
    }

    /// Refuses what no model takes: an empty text, or one of a book's length.
    static func check(_ text: String, index: Int, maximumTokens: Int?) throws(TextError) {
        guard !text.isEmpty else { throw TextError(index: index, problem: "is empty; give one or more characters") }
        // Bytes first: counting characters takes a walk over the text.
        if text.utf8.count > maximumCharacters, text.unicodeScalars.count > maximumCharacters {
            let read = maximumTokens.map { ", of which the model reads \($0) tokens at most" } ?? ""
            throw TextError(
                index: index,
                problem: "has \(text.unicodeScalars.count) characters; the limit is \(maximumCharacters)\(read)")
        }
    }

    /// As `encode`, for any valid UTF-8: empty, or however long.
    package func encodeUnchecked(_ text: [UInt8]) -> Encoding {
        var ids = prefix
        preparation.prepare(text).withUnsafeBufferPointer { bytes in
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
