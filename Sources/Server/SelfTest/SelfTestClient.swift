import Engine
import HTTPTypes
import NIOCore

/// The client's side of the self-test.
struct SelfTestClient {
    private struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private struct Answer {
        let status: Int
        let headers: HTTPFields
        let body: [UInt8]

        var json: JSONValue { (try? JSONValue(parsing: body)) ?? .null }
        var text: String { String(decoding: body, as: UTF8.self) }
    }

    private typealias Checks = [(name: String, check: () async throws -> Void)]

    private let client: LoopbackClient
    private let classifier: Classifier
    private let options: ServerOptions
    /// The model's, in paths.
    private let name: String

    /// Asks everything and says how each answer was.
    static func checks(
        client: LoopbackClient, classifier: Classifier, options: ServerOptions, references: [(text: String, label: String)]
    ) async -> [SelfTest.Check] {
        let tester = SelfTestClient(client: client, classifier: classifier, options: options)
        var results: [SelfTest.Check] = []
        for (name, check) in tester.routes() + tester.predictions(references) + tester.errors() {
            do {
                try await check()
                results.append(.init(name: name, failure: nil))
            } catch {
                results.append(.init(name: name, failure: "\(error)"))
            }
        }
        return results
    }

    private init(client: LoopbackClient, classifier: Classifier, options: ServerOptions) {
        self.client = client
        self.classifier = classifier
        self.options = options
        name = ModelNames(classifier.directory, chosen: options.modelName).name
    }

    // MARK: - Checks

    private func routes() -> Checks {
        let model = "/v2/models/\(name)"
        let pages: [(String, String)] = [
            ("/", "<!doctype html>"), ("/docs", "swagger-ui"), ("/docs/swagger-ui.css", ".swagger-ui"),
            ("/docs/swagger-ui-bundle.js", "SwaggerUIBundle"), ("/openapi.json", "\"openapi\""),
            ("/metrics", "# TYPE http_requests_total counter"),
        ]
        let members: [(String, [String])] = [
            ("/status", ["model", "weights_sha256", "labels", "limits", "queue"]), ("/health/live", ["status"]),
            ("/health/ready", ["status"]), ("/health", ["status"]), ("/ping", ["status"]), ("/info", ["model_id"]),
            ("/v1/models", ["models"]), ("/v1/models/\(name)", ["ready"]), ("/v2", ["name", "version", "extensions"]),
            ("/v2/health/live", ["live"]), ("/v2/health/ready", ["ready"]), (model, ["inputs", "outputs"]),
            (model + "/ready", ["ready"]),
        ]
        return members.map { path, names in
            (
                "GET \(path)",
                {
                    let answer = try await ask("GET", path)
                    try expect(answer, 200)
                    for name in names where answer.json[name] == nil {
                        throw Failure(description: "the answer has no \"\(name)\"")
                    }
                }
            )
        }
            + pages.map { path, part in
                (
                    "GET \(path)",
                    {
                        let answer = try await ask("GET", path)
                        try expect(answer, 200)
                        guard answer.text.lowercased().contains(part.lowercased()) else {
                            throw Failure(description: "the answer has no \(part)")
                        }
                    }
                )
            }
    }

    private func predictions(_ references: [(text: String, label: String)]) -> Checks {
        let text = references.first?.text ?? "I love MLOps"
        func label(_ text: String) throws -> String { try classifier.predict([text])[0].best.label }
        func agree(_ answer: Answer, _ found: JSONValue?, _ text: String) throws {
            try expect(answer, 200)
            let label = try label(text)
            guard found?.string == label else {
                throw Failure(description: "the answer is \(answer.text.prefix(300)); the label is \(label)")
            }
        }
        var checks: Checks = [
            (
                "POST /predict with a text",
                {
                    let answer = try await ask("POST", "/predict", ["text": .string(text)])
                    try agree(answer, answer.json["label"], text)
                }
            ),
            (
                "POST / with inputs",
                {
                    let answer = try await ask("POST", "/", ["inputs": .string(text)])
                    try agree(answer, answer.json.array?.first?["label"], text)
                }
            ),
            (
                "POST /v1/models/…:predict with instances",
                {
                    let answer = try await ask("POST", "/v1/models/\(name):predict", ["instances": [.string(text)]])
                    try agree(answer, answer.json["predictions"]?.array?.first?["label"], text)
                }
            ),
            (
                "POST /v2/models/…/infer",
                {
                    let body: JSONValue = [
                        "inputs": [["name": "text", "datatype": "BYTES", "shape": [1], "data": [.string(text)]]]
                    ]
                    let path = "/v2/models/\(name)/infer"
                    let answer = try await ask("POST", path, body)
                    try agree(answer, answer.json["outputs"]?.array?.first?["data"]?.array?.first, text)
                }
            ),
            (
                "a batch's texts are answered as each alone",
                {
                    // A long text among short ones, where the limits have room for them.
                    let words = min(50, options.limits.bodyBytes / 40)
                    let texts = ["good", "bad", "so" + String(repeating: " many words", count: words), text]
                        .prefix(min(options.limits.clientBatch, options.limits.bodyBytes / 200 + 1))
                    let answer = try await ask("POST", "/predict", ["texts": .array(texts.map(JSONValue.string))])
                    try expect(answer, 200)
                    for (text, found) in zip(texts, answer.json["predictions"]?.array ?? []) {
                        let alone = try await ask("POST", "/predict", ["text": .string(text)])
                        guard alone.json == found else {
                            throw Failure(description: "alone: \(alone.text), in the batch: \(found)")
                        }
                    }
                    guard answer.json["predictions"]?.array?.count == texts.count else {
                        throw Failure(description: "\(texts.count) texts got the answer \(answer.text.prefix(300))")
                    }
                }
            ),
        ]
        for reference in references {
            checks.append(
                (
                    "\"\(reference.text)\" is \(reference.label)",
                    {
                        let answer = try await ask("POST", "/predict", ["text": .string(reference.text)])
                        try expect(answer, 200)
                        guard answer.json["label"]?.string == reference.label else {
                            throw Failure(description: "the label is now \(answer.json["label"]?.string ?? answer.text)")
                        }
                    }
                ))
        }
        return checks
    }

    private func errors() -> Checks {
        let many = JSONValue.array(Array(repeating: "a", count: options.limits.clientBatch + 1))
        var rows: [(what: String, status: Int, method: String, path: String, body: [UInt8], type: String)] = [
            ("no JSON", 400, "POST", "/predict", Array("{".utf8), "application/json"),
            ("an unknown path", 404, "GET", "/nothing", [], "application/json"),
            ("an unknown model", 404, "GET", "/v2/models/nothing-of-the-kind", [], "application/json"),
            ("a wrong method", 405, "GET", "/predict", [], "application/json"),
            ("a form instead of JSON", 415, "POST", "/predict", Array("text=a".utf8), "application/x-www-form-urlencoded"),
            ("an empty text", 422, "POST", "/predict", Array(#"{"text":""}"#.utf8), "application/json"),
        ]
        // A gigabyte is not sent only to see it refused.
        if options.limits.bodyBytes <= 16 << 20 {
            let long = [UInt8](repeating: 0x20, count: options.limits.bodyBytes + 1)
            rows.append(("a body that is too large", 413, "POST", "/predict", long, "application/json"))
        }
        let batch = JSONValue.object([.init("texts", many)]).serialized()
        if batch.count <= options.limits.bodyBytes {
            rows.append(("too many texts", 413, "POST", "/predict", batch, "application/json"))
        }
        var checks: Checks = rows.map { row in
            (
                "\(row.what) is a \(row.status)",
                {
                    let answer = try await send(row.method, row.path, row.body, type: row.type, key: options.access.apiKey)
                    try expect(answer, row.status)
                    guard answer.json["error"] != nil else { throw Failure(description: "the answer has no \"error\"") }
                }
            )
        }
        if options.access.apiKey != nil {
            checks.append(
                (
                    "a request without the API key is a 401",
                    {
                        let answer = try await send("POST", "/predict", Array(#"{"text":"a"}"#.utf8), key: nil)
                        try expect(answer, 401)
                    }
                ))
        }
        return checks
    }

    // MARK: - HTTP

    private func ask(_ method: String, _ path: String, _ body: JSONValue? = nil) async throws -> Answer {
        try await send(method, path, body?.serialized() ?? [], key: options.access.apiKey)
    }

    private func send(
        _ method: String, _ path: String, _ body: [UInt8], type: String = "application/json", key: String?
    ) async throws -> Answer {
        var headers = HTTPFields()
        if !body.isEmpty { headers[.contentType] = type }
        if let key { headers[.authorization] = "Bearer \(key)" }
        let response = try await client.execute(
            uri: path, method: .init(method)!, headers: headers, body: body.isEmpty ? nil : ByteBuffer(bytes: body))
        return Answer(
            status: response.status.code, headers: response.headers, body: Array(response.body.readableBytesView))
    }

    private func expect(_ answer: Answer, _ status: Int) throws {
        guard answer.status == status else {
            throw Failure(description: "the status is \(answer.status), not \(status): \(answer.text.prefix(300))")
        }
        for name in [HTTPField.Name.requestID, .serverTiming] where !answer.headers.contains(name) {
            throw Failure(description: "the answer has no \(name)")
        }
    }
}
