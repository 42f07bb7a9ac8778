import Engine

/// A body of `POST /predict`, in one of its four forms.
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
        /// `{"instances": […]}`, as KServe v1 and Vertex AI have it, answered by `{"predictions": […]}`.
        case instances
    }

    let form: Form
    let texts: [String]
    private(set) var pairs: [String?] = []
    let options: PredictOptions
    let model: String?

    var longTexts: LongTexts? { options.longTexts }
    var truncationSide: TruncationSide? { options.truncationSide }

    init(body: [UInt8], limits: ServerLimits) throws(RequestError) {
        let json = try JSONValue(body: body, needs: "\"text\", \"texts\", \"inputs\" or \"instances\"")
        let given = ["text", "texts", "inputs", "instances"].filter { json[$0] != nil }
        guard given.count == 1 else {
            throw .invalid(
                given.isEmpty
                    ? "the body has none of the fields \"text\", \"texts\", \"inputs\" and \"instances\"; give one"
                    : "the body has the fields \(given.joined(separator: " and ")); give one of them")
        }
        let value = json[given[0]] ?? .null
        switch given[0] {
        case "text":
            form = .text
            texts = [try Self.text(value, "text")]
            if let pair = json["text_pair"], !pair.isNull { pairs = [try Self.text(pair, "text_pair")] }
        case "texts":
            form = .texts
            texts = try Self.texts(value, "texts", limits: limits).texts
        case "instances":
            form = .instances
            (texts, pairs) = try Self.texts(value, "instances", limits: limits, element: Self.element)
        default:
            if value.string != nil || value.object != nil {
                form = .input(isNested: json["parameters"]?.object != nil)
                let (text, pair) = try Self.element(value, "inputs")
                (texts, pairs) = ([text], [pair])
            } else {
                form = .inputs
                (texts, pairs) = try Self.texts(value, "inputs", limits: limits, element: Self.element)
            }
        }
        switch json["model"] {
        case nil, .null?: model = nil
        case .string(let name)?: model = name
        case let other?: throw .invalid("field \"model\" is \(other.kind); it must be a model's name")
        }
        options = try PredictOptions(json, ranks: given[0] == "inputs")
    }

    private static func text(_ value: JSONValue, _ field: String) throws(RequestError) -> String {
        guard let text = value.string else { throw .invalid("field \"\(field)\" is \(value.kind); it must be a string") }
        guard !text.isEmpty else { throw .invalid("field \"\(field)\" is empty; give one or more characters") }
        return text
    }

    private static func texts(
        _ value: JSONValue, _ field: String, limits: ServerLimits,
        element: (JSONValue, String) throws(RequestError) -> (String, String?) = {
            (value, field) throws(RequestError) in (try text(value, field), nil)
        }
    ) throws(RequestError) -> (texts: [String], pairs: [String?]) {
        guard let values = value.array else {
            let allowed =
                switch field {
                case "inputs": "a string, an array of strings or of pairs"
                case "instances": "an array of strings or of objects with \"text\""
                default: "an array of strings"
                }
            throw .invalid("field \"\(field)\" is \(value.kind); it must be \(allowed)")
        }
        guard !values.isEmpty else { throw .invalid("field \"\(field)\" is empty; give one or more texts") }
        guard values.count <= limits.clientBatch else {
            throw RequestError(
                .contentTooLarge, "batch_too_large",
                "field \"\(field)\" has \(values.count) texts; the limit is \(limits.clientBatch)")
        }
        var texts: [String] = []
        var pairs: [String?] = []
        for (index, value) in values.enumerated() {
            let (text, pair) = try element(value, "\(field)[\(index)]")
            texts.append(text)
            pairs.append(pair)
        }
        return (texts, pairs)
    }

    /// One of `inputs` or `instances`: a text; `["text"]` or `["text", "pair"]`, as text-embeddings-inference has them in a batch; or
    /// `{"text", "text_pair"}`, as Transformers' pipeline has it.
    private static func element(_ value: JSONValue, _ field: String) throws(RequestError) -> (String, String?) {
        if let parts = value.array {
            guard 1...2 ~= parts.count else {
                throw .invalid("field \"\(field)\" has \(parts.count) texts; give one, or two that belong together")
            }
            let pair = parts.count == 2 ? try text(parts[1], "\(field)[1]") : nil
            return (try text(parts[0], "\(field)[0]"), pair)
        }
        guard value.object != nil else { return (try text(value, field), nil) }
        guard let first = value["text"] else { throw .invalid("field \"\(field)\" has no \"text\"") }
        let second = value["text_pair"].flatMap { $0.isNull ? Optional<JSONValue>.none : $0 }
        return (
            try text(first, "\(field).text"),
            try second.map { (second) throws(RequestError) in try text(second, "\(field).text_pair") }
        )
    }

    /// The field that text `index` came from, for messages.
    func field(_ index: Int) -> String {
        switch form {
        case .text: "text"
        case .texts: "texts[\(index)]"
        case .input: "inputs"
        case .inputs: "inputs[\(index)]"
        case .instances: "instances[\(index)]"
        }
    }
}
