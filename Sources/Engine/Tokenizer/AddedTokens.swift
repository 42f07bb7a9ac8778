/// A token that is found in the text before it is split: `<s>`, `[SEP]` and their like.
struct AddedToken: Sendable, Equatable {
    let content: [UInt8]
    /// Takes the white space before it, behind it.
    var stripsLeft = false
    var stripsRight = false
    /// Only where no letter, digit or _ is beside it.
    var isSingleWord = false
    var isSpecial = false
    /// Whether it is looked for in the normalized text, itself normalized.
    var isNormalized: Bool { normalized ?? !isSpecial }
    private var normalized: Bool?

    init(_ content: String, isSpecial: Bool, normalized: Bool? = nil, stripsLeft: Bool = false) {
        self.content = Array(content.utf8)
        self.isSpecial = isSpecial
        self.normalized = normalized
        self.stripsLeft = stripsLeft
    }

    /// With the settings as Hugging Face's files have them: `lstrip`, `rstrip`, `single_word`, `normalized`, `special`.
    init(_ content: String, _ settings: JSONValue, isSpecial: Bool? = nil) {
        self.content = Array(content.utf8)
        stripsLeft = settings["lstrip"]?.bool ?? false
        stripsRight = settings["rstrip"]?.bool ?? false
        isSingleWord = settings["single_word"]?.bool ?? false
        self.isSpecial = isSpecial ?? settings["special"]?.bool ?? false
        normalized = settings["normalized"]?.bool
    }

    /// Looked for in the text as it stands.
    var unnormalized: AddedToken {
        var token = self
        token.normalized = false
        return token
    }

    static func == (a: Self, b: Self) -> Bool {
        a.content == b.content && a.stripsLeft == b.stripsLeft && a.stripsRight == b.stripsRight
            && a.isSingleWord == b.isSingleWord && a.isSpecial == b.isSpecial && a.isNormalized == b.isNormalized
    }
}

/// Which tokens are added, and their ids: those of the model's vocabulary, else the next free ones. Adding one again
/// changes its settings.
struct AddedVocabulary {
    let model: any TokenizerModel
    private(set) var tokens: [Int: AddedToken] = [:]
    private var ids: [[UInt8]: Int] = [:]

    init(_ model: any TokenizerModel) { self.model = model }

    func id(of token: [UInt8]) -> Int? { ids[token] ?? model.id(of: token) }

    mutating func add(_ added: [AddedToken]) {
        let largest = tokens.keys.max() ?? -1
        var next = largest >= model.count ? largest + 1 : model.count
        for token in added where !token.content.isEmpty {
            let known = id(of: token.content)
            let id = known ?? next
            if known == nil { next += 1 }
            ids[token.content] = id
            tokens[id] = token
        }
    }

    /// Adds one with an id that is given.
    mutating func set(_ id: Int, _ token: AddedToken) {
        ids[token.content] = id
        tokens[id] = token
    }

    /// Takes out one that is in no vocabulary.
    mutating func remove(_ id: Int) {
        guard let token = tokens.removeValue(forKey: id) else { return }
        ids[token.content] = nil
    }
}

/// Finds added tokens in a text.
struct AddedTokens: Sendable {
    enum Part: Equatable {
        case text(Range<Int>)
        case token(Int)
    }

    private struct Pattern: Sendable {
        let bytes: [UInt8]
        let id: Int
        let token: AddedToken
    }

    private let patterns: [Pattern]
    /// Indices into `patterns` by first byte, longest first.
    private let byFirstByte: [[Int]]
    private let isFirstByte: [Bool]

    var isEmpty: Bool { patterns.isEmpty }

    /// - Parameter normalize: for those that are looked for in the normalized text.
    init(_ tokens: [Int: AddedToken], normalize: (([UInt8]) -> [UInt8])? = nil) {
        patterns = tokens.sorted { $0.key < $1.key }.compactMap { id, token in
            guard token.isNormalized == (normalize != nil) else { return nil }
            let bytes = normalize?(token.content) ?? token.content
            return bytes.isEmpty ? nil : Pattern(bytes: bytes, id: id, token: token)
        }
        var byFirstByte = [[Int]](repeating: [], count: 256)
        for (index, pattern) in patterns.enumerated() { byFirstByte[Int(pattern.bytes[0])].append(index) }
        let lengths = patterns.map(\.bytes.count)
        self.byFirstByte = byFirstByte.map { $0.sorted { (lengths[$1], $0) < (lengths[$0], $1) } }
        isFirstByte = byFirstByte.map { !$0.isEmpty }
    }

    /// Leftmost match first, the longest there; the same rules as `AddedVocabulary.find_matches` in `tokenizers`.
    func forEachPart(of text: UnsafeBufferPointer<UInt8>, _ body: (Part) -> Void) {
        var unmatched = 0
        var position = 0
        let walk = ScalarWalk(bytes: text)
        while !patterns.isEmpty, position < text.count {
            guard isFirstByte[Int(text[position])], let pattern = match(at: position, text) else {
                position += 1
                continue
            }
            var start = position
            var end = position + pattern.bytes.count
            position = end
            if pattern.token.isSingleWord,
                walk.scalar(before: start).map(UnicodeClass.isWord) ?? false
                    || walk.scalar(at: end).map({ UnicodeClass.isWord($0.value) }) ?? false
            {
                continue
            }
            if pattern.token.stripsLeft {
                while let before = walk.scalar(before: start), UnicodeClass.isWhitespace(before) {
                    start -= Unicode.Scalar(before).map { UTF8.width($0) } ?? 1
                }
                // What the token before took is taken.
                start = max(start, unmatched)
            }
            if pattern.token.stripsRight {
                while let (scalar, next) = walk.scalar(at: end), UnicodeClass.isWhitespace(scalar) { end = next }
            }
            if unmatched < start { body(.text(unmatched..<start)) }
            body(.token(pattern.id))
            unmatched = end
        }
        if unmatched < text.count { body(.text(unmatched..<text.count)) }
    }

    private func match(at position: Int, _ text: UnsafeBufferPointer<UInt8>) -> Pattern? {
        for index in byFirstByte[Int(text[position])] {
            let bytes = patterns[index].bytes
            if bytes.count <= text.count - position, bytes.elementsEqual(text[position..<position + bytes.count]) {
                return patterns[index]
            }
        }
        return nil
    }
}
