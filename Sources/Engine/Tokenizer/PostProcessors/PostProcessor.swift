/// The stage that puts special tokens around one text or two: `post_processor` of a tokenizer.json.
struct PostProcessor: Sendable, Equatable {
    struct Part: Sendable, Equatable {
        enum Content: Sendable, Equatable {
            case tokens([Int])
            case first
            case second
        }

        let content: Content
        /// 0 or 1.
        let type: Int

        /// Empty for a text.
        var tokens: [Int] { if case .tokens(let ids) = content { ids } else { [] } }
    }

    var single: [Part]
    var pair: [Part]

    /// `TemplateProcessing` of BERT: `[CLS] A [SEP]`, `[CLS] A [SEP] B [SEP]`, the second text and its end of type 1.
    static func bert(cls: Int, sep: Int) -> PostProcessor {
        let start = [Part(content: .tokens([cls]), type: 0), Part(content: .first, type: 0)]
        let end = [Part(content: .tokens([sep]), type: 0)]
        return PostProcessor(
            single: start + end,
            pair: start + end + [Part(content: .second, type: 1), Part(content: .tokens([sep]), type: 1)])
    }

    /// `RobertaProcessing`: `<s> A </s>`, `<s> A </s></s> B </s>`, all of type 0.
    static func roberta(cls: Int, sep: Int) -> PostProcessor {
        let start = [Part(content: .tokens([cls]), type: 0), Part(content: .first, type: 0)]
        let end = Part(content: .tokens([sep]), type: 0)
        return PostProcessor(single: start + [end], pair: start + [end, end, Part(content: .second, type: 0), end])
    }

    /// No special tokens.
    static let none = PostProcessor(
        single: [Part(content: .first, type: 0)],
        pair: [Part(content: .first, type: 0), Part(content: .second, type: 1)])

    /// How many special tokens there are.
    func added(isPair: Bool) -> Int {
        (isPair ? pair : single).reduce(0) { $0 + $1.tokens.count }
    }

    var ids: [Int] { (single + pair).flatMap(\.tokens) }

    /// The ids in their places, and where those of type 1 begin; nil where there are none.
    func apply(_ first: ArraySlice<Int>, _ second: ArraySlice<Int>?) -> (ids: [Int], secondStart: Int?) {
        let parts = second == nil ? single : pair
        var ids: [Int] = []
        ids.reserveCapacity(first.count + (second?.count ?? 0) + added(isPair: second != nil))
        var secondStart: Int?
        for part in parts {
            let start = ids.count
            switch part.content {
            case .tokens(let tokens): ids += tokens
            case .first: ids += first
            case .second: ids += second ?? []
            }
            if part.type == 1, secondStart == nil, ids.count > start { secondStart = start }
        }
        return (ids, secondStart)
    }

    /// What keeps a template from being one of types 0, then 1, that holds each text once.
    static func problem(_ parts: [Part], isPair: Bool) -> String? {
        let texts = parts.map(\.content).filter { $0 == .first || $0 == .second }
        guard isPair ? texts == [.first, .second] : texts == [.first] else {
            return isPair ? "does not hold A, then B, once each" : "does not hold A once"
        }
        guard parts.allSatisfy({ 0...1 ~= $0.type }), zip(parts, parts.dropFirst()).allSatisfy({ $0.type <= $1.type }) else {
            return "has token types that are not 0s, then 1s"
        }
        return nil
    }
}
