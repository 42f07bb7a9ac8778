import Engine
import HTTPTypes
import NIOCore
import Server
import Testing

@Suite struct AccessTests {
    private static func options(key: String? = "key-1", everywhere: Bool = false, origin: String? = nil) -> ServerOptions {
        var options = ServerOptions()
        options.access.apiKey = key
        options.access.protectsEverything = everywhere
        options.access.allowedOrigins = origin.map { [$0] } ?? []
        return options
    }

    @Test func `without the key the model's work is refused, with it done`() async throws {
        try await serve(Self.options()) { client in
            for path in [
                "/predict", "/", "/invocations", "/v1/models/minilm-l6-tweet-sentiment:predict",
                "/v2/models/minilm-l6-tweet-sentiment/infer",
            ] {
                let (status, _, headers) = try await post(client, #"{"text":"a"}"#, to: path)
                #expect(status == 401 && headers[.wwwAuthenticate] == "Bearer")
            }
            for wrong in ["Bearer", "Bearer ", "Bearer key-2", "Basic key-1", "key-1", "Bearer key-1x", ""] {
                #expect(try await post(client, #"{"text":"a"}"#, headers: [.authorization: wrong]).status == 401, "\(wrong)")
            }
            for right in ["Bearer key-1", "bearer key-1"] {
                #expect(try await post(client, #"{"text":"a"}"#, headers: [.authorization: right]).status == 200)
            }
            #expect(try await get(client, "/status").status == 401)
        }
    }

    @Test func `health never needs the key; metrics and pages only where everything does`() async throws {
        for everywhere in [false, true] {
            try await serve(Self.options(everywhere: everywhere)) { client in
                for path in ["/health/live", "/health/ready", "/health", "/ping", "/v2/health/live", "/v2/health/ready"] {
                    let status = try await get(client, path).status
                    #expect(status == 200)
                }
                for path in ["/metrics", "/", "/docs", "/docs/swagger-ui.css", "/openapi.json"] {
                    let status = try await get(client, path).status
                    #expect(status == (everywhere ? 401 : 200), "\(path)")
                }
            }
        }
    }

    @Test func `a browser elsewhere may call only from the origin that is allowed`() async throws {
        let origin = HTTPField.Name("Origin")!
        let allowed = HTTPField.Name("Access-Control-Allow-Origin")!
        for (setting, from, expected) in [
            ("https://a.example", "https://a.example", "https://a.example"), ("https://a.example", "https://b.example", nil),
            ("*", "https://b.example", "*"), (nil, "https://b.example", nil),
        ] as [(String?, String, String?)] {
            try await serve(Self.options(key: nil, origin: setting)) { client in
                #expect(try await post(client, #"{"text":"a"}"#, headers: [origin: from]).headers[allowed] == expected)
                // Errors too, so that a page can show them.
                #expect(try await post(client, "{", headers: [origin: from]).headers[allowed] == expected)
                let preflight = try await client.execute(uri: "/predict", method: .options, headers: [origin: from])
                #expect(preflight.headers[allowed] == expected)
                #expect(preflight.status.code == (setting == nil ? 405 : 204))
            }
        }
    }

    @Test func `a queue that is full answers 429 and says when to come again`() async throws {
        var limits = ServerLimits()
        (limits.queuedTexts, limits.clientBatch) = (2, 2)
        try await serve(.init(limits: limits)) { client in
            try await withThrowingTaskGroup(of: (Int, String?).self) { group in
                for _ in 0..<40 {
                    group.addTask {
                        let answer = try await post(client, #"{"texts":["a","b"]}"#)
                        return (answer.status, answer.headers[.retryAfter])
                    }
                }
                for try await (status, retry) in group {
                    #expect(status == 200 || status == 429)
                    #expect((status == 429) == (retry == "1"))
                }
            }
            #expect(try await post(client, #"{"text":"a"}"#).status == 200)
        }
    }

    @Test func `limits that contradict each other or the model are refused at once`() throws {
        var limits = ServerLimits()
        limits.queuedTexts = 10
        #expect(throws: InputError.self) {
            try ApusServer(classifier: try Support.classifier.get(), options: .init(limits: limits))
        }
        limits = ServerLimits()
        limits.batchTokens = 1_000_000
        #expect(throws: InputError.self) {
            try ApusServer(classifier: try Support.classifier.get(), options: .init(limits: limits))
        }
    }
}
