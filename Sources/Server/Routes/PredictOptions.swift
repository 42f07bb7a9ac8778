import Engine

/// What a body of `POST /predict` says beside its texts: the fields of text-embeddings-inference, of Hugging Face's inference
/// client and of Transformers' pipelines that change an answer, in the body itself or in its `parameters`. What they say and
/// cannot be done is refused by name; fields that change nothing are nobody's business.
struct PredictOptions: Sendable, Equatable {
    enum Function: String, Sendable, CaseIterable { case softmax, sigmoid, none }

    /// What becomes of a text that is too long: `truncate`, `truncation`; nil where the client does not say.
    private(set) var longTexts: LongTexts?
    /// Where it is cut: `truncation_direction`, `truncation_side`; nil for the tokenizer's own side.
    private(set) var truncationSide: TruncationSide?
    /// The best so many labels: `top_k`, `return_all_scores`; nil for all.
    private(set) var topK: Int?
    /// What is applied to the logits: `function_to_apply`, `raw_scores`; nil for what the model's own scores are.
    private(set) var function: Function?

    /// Fields of other servers that would change the answer, and what is to be said of them.
    private static let refused = [
        ("max_length", "this server cuts at the model's own length; shorten the text, or leave the field out"),
        ("candidate_labels", "this model has labels of its own, and takes no others"),
    ]

    /// - Parameter ranks: whether the answer is a ranking, from which labels may be left out.
    init(_ body: JSONValue, ranks: Bool) throws(RequestError) {
        try read(body, "", ranks: ranks)
        guard let parameters = body["parameters"], !parameters.isNull else { return }
        guard parameters.object != nil else {
            throw .invalid("field \"parameters\" is \(parameters.kind); it must be an object")
        }
        try read(parameters, "parameters.", ranks: ranks)
    }

    private mutating func read(_ json: JSONValue, _ place: String, ranks: Bool) throws(RequestError) {
        func value(_ name: String) -> (value: JSONValue, field: String)? {
            json[name].flatMap { $0.isNull ? nil : ($0, place + name) }
        }
        for (name, advice) in Self.refused {
            if let (_, field) = value(name) { throw .invalid("field \"\(field)\" is not supported: \(advice)") }
        }
        for name in ["truncate", "truncation"] {
            guard let (value, field) = value(name) else { continue }
            try Self.set(&longTexts, try value.boolean(field) ? .truncate : .refuse, field)
        }
        for name in ["truncation_direction", "truncation_side"] {
            guard let (value, field) = value(name) else { continue }
            guard let side = value.string.flatMap({ TruncationSide(rawValue: $0.lowercased()) }) else {
                throw .invalid("field \"\(field)\" must be \"left\" or \"right\"")
            }
            try Self.set(&truncationSide, side, field)
        }
        if let (value, field) = value("function_to_apply") {
            guard let function = value.string.flatMap(Function.init) else {
                let known = Function.allCases.map(\.rawValue).joined(separator: ", ")
                throw .invalid("field \"\(field)\" must be one of \(known)")
            }
            try Self.set(&self.function, function, field)
        }
        if let (value, field) = value("raw_scores"), try value.boolean(field) {
            try Self.set(&function, Function.none, field)
        }
        if let (value, field) = value("top_k") {
            guard let topK = value.integer, topK >= 1 else {
                throw .invalid("field \"\(field)\" must be a whole number from 1 on")
            }
            guard ranks else { throw Self.unranked(field) }
            try Self.set(&self.topK, topK, field)
        }
        if let (value, field) = value("return_all_scores"), try !value.boolean(field) {
            guard ranks else { throw Self.unranked(field) }
            try Self.set(&topK, 1, field)
        }
    }

    private static func unranked(_ field: String) -> RequestError {
        .invalid("field \"\(field)\" belongs to \"inputs\"; in this form every label is answered")
    }

    private static func set<Value: Equatable>(
        _ target: inout Value?, _ value: Value, _ field: String
    ) throws(RequestError) {
        guard target == nil || target == value else {
            throw .invalid("field \"\(field)\" contradicts another field of this request; leave one of them out")
        }
        target = value
    }
}
