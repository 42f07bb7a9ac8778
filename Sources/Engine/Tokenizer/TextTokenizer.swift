/// A text's token ids as the model sees them, or those of a pair of texts.
public struct Encoding: Sendable, Equatable {
    /// With special tokens, truncated.
    public let ids: [Int]
    /// How many there were before truncation.
    public let untruncatedCount: Int
    /// Where the tokens of type 1 begin, the second text of a pair; all before are of type 0. nil where all are of type 0.
    public let secondStart: Int?

    init(ids: [Int], untruncatedCount: Int, secondStart: Int? = nil) {
        self.ids = ids
        self.untruncatedCount = untruncatedCount
        self.secondStart = secondStart
    }

    /// Ids as they are, all of type 0.
    package init(ids: [Int]) { self.init(ids: ids, untruncatedCount: ids.count) }

    public var isTruncated: Bool { ids.count < untruncatedCount }
}

/// A text that a model cannot take.
public struct TextError: Error, Equatable, CustomStringConvertible {
    /// The place of the text among those given.
    public let index: Int
    public let problem: String

    public var description: String { "text \(index + 1) \(problem)" }
}

/// A model directory's tokenizer, with the model's text preparation and its limit of tokens. The stages are those of the
/// `tokenizers` library: added tokens in the text as it stands, normalizer, added tokens in the normalized text,
/// pre-tokenizer, model, truncation, post-processor.
public struct TextTokenizer: Sendable {
    let addedTokens: AddedTokens
    let normalizer: (any Normalizer)?
    let normalizedTokens: AddedTokens
    let preTokenizer: (any PreTokenizer)?
    let model: any TokenizerModel
    let postProcessor: PostProcessor
    private let added: [Int: AddedToken]
    private let cutting: Cutting

    /// Who says which text of a pair keeps one more, where an odd number fits.
    enum Cutting: Sendable {
        /// The `tokenizers` library: the longer one; of equals the second.
        case library
        /// The tokenizers that are written in Python, BERTweet's and PhoBERT's: the shorter one; of equals the first.
        case python
    }

    /// A longer text, in characters (Unicode scalars), is refused.
    public static let maximumCharacters = 100_000

    public internal(set) var preparation = TextPreparation.tweet
    /// The most tokens of one text that the model reads, or of a pair; special tokens included.
    public internal(set) var maximumTokens = Int.max
    /// Whether of a text that does not fit the end is kept: `truncation_side: left`.
    public internal(set) var truncatesLeft = false
    /// Whether the model is told the tokens' types: `token_type_ids` in `model_input_names`.
    public internal(set) var tellsTypes = true

    init(
        added: [Int: AddedToken], normalizer: (any Normalizer)?, preTokenizer: (any PreTokenizer)?,
        model: any TokenizerModel, postProcessor: PostProcessor, cutting: Cutting = .library
    ) {
        self.normalizer = normalizer
        self.preTokenizer = preTokenizer
        self.model = model
        self.postProcessor = postProcessor
        self.added = added
        self.cutting = cutting
        addedTokens = AddedTokens(added)
        normalizedTokens = AddedTokens(added) { content in
            var text = StagedText()
            text.start(content, isAtTextStart: true)
            normalizer?.normalize(&text)
            return text.bytes
        }
    }

    /// The ids of `text`, or of the pair of `text` and `pair`: prepared, with special tokens, what does not fit cut off.
    ///
    /// - Parameter side: where it is cut; nil for the tokenizer's own.
    public func encode(
        _ text: String, pair: String? = nil, index: Int = 0, cutting side: TruncationSide? = nil
    ) throws(TextError) -> Encoding {
        try Self.check(text, index: index, maximumTokens: maximumTokens)
        if let pair { try Self.check(pair, index: index, maximumTokens: maximumTokens) }
        return encodeUnchecked(Array(text.utf8), pair: pair.map { Array($0.utf8) }, cutting: side)
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
    package func encodeUnchecked(_ text: [UInt8], pair: [UInt8]? = nil, cutting side: TruncationSide? = nil) -> Encoding {
        let first = tokenIDs(of: preparation.prepare(text))
        let second = pair.map { tokenIDs(of: preparation.prepare($0)) }
        let special = postProcessor.added(isPair: pair != nil)
        let (firstCount, secondCount) = lengths(
            first.count, second?.count, within: max(maximumTokens - special, 0))
        let cutsLeft = side.map { $0 == .left } ?? truncatesLeft
        func cut(_ ids: [Int], _ count: Int) -> ArraySlice<Int> { cutsLeft ? ids.suffix(count) : ids.prefix(count) }
        let (ids, secondStart) = postProcessor.apply(cut(first, firstCount), second.map { cut($0, secondCount) })
        return Encoding(
            ids: ids, untruncatedCount: first.count + (second?.count ?? 0) + special,
            secondStart: tellsTypes ? secondStart : nil)
    }

    /// The windows that a text is read in: one where it fits, else each as long as the model reads, the next one beginning so
    /// that a quarter of it was in the one before.
    public func windows(_ text: String, index: Int = 0) throws(TextError) -> [Encoding] {
        try Self.check(text, index: index, maximumTokens: maximumTokens)
        let ids = tokenIDs(of: preparation.prepare(Array(text.utf8)))
        let special = postProcessor.added(isPair: false)
        let room = max(maximumTokens - special, 1)
        var windows: [Encoding] = []
        var start = 0
        repeat {
            let part = ids[start..<min(start + room, ids.count)]
            windows.append(Encoding(ids: postProcessor.apply(part, nil).ids))
            start += max(1, room - room / 4)
        } while start + room / 4 < ids.count
        return windows
    }

    /// How many tokens of a text a window holds.
    package func tokensOfText(_ window: Encoding) -> Int { window.ids.count - postProcessor.added(isPair: false) }

    /// What is left of two texts of `first` and `second` tokens where `room` fit: the longer one is cut first, as the
    /// library's LongestFirst does it.
    private func lengths(_ first: Int, _ second: Int?, within room: Int) -> (Int, Int) {
        guard let second else { return (min(first, room), 0) }
        guard first + second > room else { return (first, second) }
        let shorter = min(first, second)
        var (kept, rest) = (shorter, shorter > room ? shorter : max(shorter, room - shorter))
        if kept + rest > room {
            (kept, rest) = (room / 2, room / 2 + room % 2)
            if cutting == .python { swap(&kept, &rest) }
        }
        return first > second ? (rest, kept) : (kept, rest)
    }

    /// Without special tokens, whole.
    private func tokenIDs(of text: [UInt8]) -> [Int] {
        var ids: [Int] = []
        ids.reserveCapacity(text.count / 3 + 8)
        var staged = StagedText()
        text.withUnsafeBufferPointer { text in
            addedTokens.forEachPart(of: text) { part in
                switch part {
                case .token(let id): ids.append(id)
                case .text(let range):
                    staged.start(text[range], isAtTextStart: range.lowerBound == 0)
                    normalizer?.normalize(&staged)
                    if normalizedTokens.isEmpty { return encode(&staged, into: &ids) }
                    let (normalized, isAtTextStart) = (staged.bytes, staged.isAtTextStart)
                    normalized.withUnsafeBufferPointer { text in
                        normalizedTokens.forEachPart(of: text) { part in
                            switch part {
                            case .token(let id): ids.append(id)
                            case .text(let range):
                                staged.start(text[range], isAtTextStart: isAtTextStart && range.lowerBound == 0)
                                encode(&staged, into: &ids)
                            }
                        }
                    }
                }
            }
        }
        return ids
    }

    /// Normalized text, by pre-tokenizer and model.
    private func encode(_ text: inout StagedText, into ids: inout [Int]) {
        text.becomeOnePiece()
        preTokenizer?.split(&text)
        model.encode(text, into: &ids)
    }

    /// All tokens as they stand in the vocabulary, by id.
    public func tokensByID() -> [Int: String] {
        let tokens = model.entries + added.map { ($0.value.content, $0.key) }
        return Dictionary(tokens.map { ($0.1, String(decoding: $0.0, as: UTF8.self)) }) { $1 }
    }

    /// What the model's embeddings must have a row for.
    var largestID: Int {
        max(model.largestID, added.keys.max() ?? 0, postProcessor.ids.max() ?? 0)
    }
}
