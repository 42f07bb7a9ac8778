import Engine

/// A body of `POST /predict`, in one of its three forms.
struct PredictRequest: TextPrediction.Body, Equatable {
    enum Form: Sendable, Equatable {
        /// `{"text": "…"}`, answered by one object.
        case text
        /// `{"texts": […]}`, answered by `{"predictions": […]}`.
        case texts
        /// `{"inputs": "…"}` as text-embeddings-inference has it, answered by an array of labels and scores; an array of
        /// one such array where `parameters` stands beside it, as Hugging Face's inference client sends and expects it.
        case input(isNested: Bool)
        /// `{"inputs": ["…", …]}` or `{"inputs": [["…"], …]}`, answered by such an array a text.
        case inputs
    }

    enum Function: String, Sendable, CaseIterable { case softmax, sigmoid, none }

    let form: Form
    let texts: [String]
    /// Whether a text that is too long is cut off, or refused.
    var truncates = true
    /// `inputs` only: the best so many labels; nil for all.
    var topK: Int?
    /// `inputs` only: what is applied to the logits; nil for what the model's own scores are.
    var function: Function?

    init(body: [UInt8], limits: ServerLimits) throws(RequestError) {
        let json = try JSONValue(body: body, needs: "\"text\", \"texts\" or \"inputs\"")
        let given = ["text", "texts", "inputs"].filter { json[$0] != nil }
        guard given.count == 1 else {
            throw .invalid(
                given.isEmpty
                    ? "the body has none of the fields \"text\", \"texts\" and \"inputs\"; give one"
                    : "the body has the fields \(given.joined(separator: " and ")); give one of them")
        }
        let value = json[given[0]] ?? .null
        switch given[0] {
        case "text":
            form = .text
            texts = [try Self.text(value, "text")]
        case "texts":
            form = .texts
            texts = try Self.texts(value, "texts", limits: limits, mayBeNested: false)
        default:
            if value.string != nil {
                form = .input(isNested: json["parameters"]?.object != nil)
                texts = [try Self.text(value, "inputs")]
            } else {
                form = .inputs
                texts = try Self.texts(value, "inputs", limits: limits, mayBeNested: true)
            }
            try readParameters(json["parameters"])
        }
        if let truncate = json["truncate"], !truncate.isNull { truncates = try truncate.boolean("truncate") }
    }

    private mutating func readParameters(_ parameters: JSONValue?) throws(RequestError) {
        guard let parameters, !parameters.isNull else { return }
        guard parameters.object != nil else {
            throw .invalid("field \"parameters\" is \(parameters.kind); it must be an object")
        }
        if let value = parameters["top_k"], !value.isNull {
            guard let topK = value.integer, topK >= 1 else {
                throw .invalid("field \"parameters.top_k\" must be a whole number from 1 on")
            }
            self.topK = topK
        }
        if let value = parameters["function_to_apply"], !value.isNull {
            guard let function = value.string.flatMap(Function.init) else {
                let known = Function.allCases.map(\.rawValue).joined(separator: ", ")
                throw .invalid("field \"parameters.function_to_apply\" must be one of \(known)")
            }
            self.function = function
        }
        // Clients of both spellings are about.
        for name in ["truncation", "truncate"] {
            if let value = parameters[name], !value.isNull { truncates = try value.boolean("parameters.\(name)") }
        }
    }

    private static func text(_ value: JSONValue, _ field: String) throws(RequestError) -> String {
        guard let text = value.string else { throw .invalid("field \"\(field)\" is \(value.kind); it must be a string") }
        guard !text.isEmpty else { throw .invalid("field \"\(field)\" is empty; give one or more characters") }
        return text
    }

    private static func texts(
        _ value: JSONValue, _ field: String, limits: ServerLimits, mayBeNested: Bool
    ) throws(RequestError) -> [String] {
        guard let values = value.array else {
            let allowed = mayBeNested ? "a string or an array of strings" : "an array of strings"
            throw .invalid("field \"\(field)\" is \(value.kind); it must be \(allowed)")
        }
        guard !values.isEmpty else { throw .invalid("field \"\(field)\" is empty; give one or more texts") }
        guard values.count <= limits.clientBatch else {
            throw RequestError(
                .contentTooLarge, "batch_too_large",
                "field \"\(field)\" has \(values.count) texts; the limit is \(limits.clientBatch)")
        }
        var texts: [String] = []
        for (index, element) in values.enumerated() {
            if mayBeNested, let pair = element.array {
                guard pair.count == 1 else {
                    throw .invalid(
                        "field \"\(field)[\(index)]\" has \(pair.count) texts; sentence pairs are not supported, give one")
                }
                texts.append(try text(pair[0], "\(field)[\(index)][0]"))
            } else {
                texts.append(try text(element, "\(field)[\(index)]"))
            }
        }
        return texts
    }

    /// The field that text `index` came from, for messages.
    func field(_ index: Int) -> String {
        switch form {
        case .text: "text"
        case .texts: "texts[\(index)]"
        case .input: "inputs"
        case .inputs: "inputs[\(index)]"
        }
    }
}
