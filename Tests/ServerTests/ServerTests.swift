import Engine
import Foundation
import HTTPTypes
import NIOCore
import Server
import Testing

@Suite struct ServerTests {
    @Test func `a text is answered by its label, its score and all scores`() async throws {
        try await serve { client in
            for path in ["/predict", "/"] {
                let (status, json, headers) = try await post(client, #"{"text":"I love MLOps"}"#, to: path)
                #expect(status == 200)
                #expect(json["label"] == "positive")
                let scores = try #require(json["scores"]?.object)
                #expect(scores.map(\.name) == ["negative", "neutral", "positive"])
                #expect(json["score"] == json["scores"]?["positive"])
                #expect(abs(scores.compactMap(\.value.double).reduce(0, +) - 1) < 1e-5)
                #expect(headers[.contentType]?.hasPrefix("application/json") == true)
            }
        }
    }

    @Test(arguments: [
        ("gzip", "H4sIAAAAAAACA6tWKkmtKFGyUlDyVMjJL0tV8PXxLyhWqgUAbnGZChgAAAA=", 200, "positive"),
        ("deflate", "eNqrVipJrShRslJQ8lTIyS9LVfD18S8oVqoFAF8LB6o=", 200, "positive"),
        ("gzip", "H4sIAAAAAAACA6tWKkmtKFGyUlDyVMjJL0tV8PXxLyhWqgUAbnGZ", 400, "it ends too early"),
        ("gzip", "eyJ0ZXh0IjoiSSBsb3ZlIE1MT3BzIn0=", 400, "it is damaged"),
        ("br", "CwuA", 415, "gzip or deflate"),
        // 65,548 bytes.
        (
            "gzip",
            "H4sIAAAAAAACA+3BQQ0AIAwEMCvkZOCGBw72IFnwDkLadmqfyhxZ" + String(repeating: "A", count: 84) + "8OU+LGaO6AwAAQA=",
            413,
            "unpacks to more than 16384"
        ),
    ])
    func `a packed body is answered as the plain one, or told what is wrong with it`(
        _ coding: String, _ body: String, _ status: Int, _ expected: String
    ) async throws {
        try await serve { client in
            let response = try await client.execute(
                uri: "/predict", method: .post, headers: [.contentType: "application/json", .contentEncoding: coding],
                body: ByteBuffer(bytes: try #require(Data(base64Encoded: body))))
            #expect(response.status.code == status)
            #expect(String(buffer: response.body).contains(expected))
        }
    }

    @Test func `texts are answered in order, one prediction each`() async throws {
        try await serve { client in
            let (status, json, _) = try await post(client, #"{"texts":["I hate this","I love this","Monday at noon"]}"#)
            #expect(status == 200)
            #expect(json["predictions"]?.array?.map { $0["label"] } == ["negative", "positive", "neutral"])
        }
    }

    @Test func `inputs are answered as text-embeddings-inference and the Hugging Face client expect`() async throws {
        try await serve { client in
            let single = try await post(client, #"{"inputs":"I love MLOps"}"#).json
            #expect(single.array?.map { $0["label"]?.string }.count == 3)
            #expect(single.array?.first?["label"] == "positive")
            let scores = single.array?.compactMap { $0["score"]?.double } ?? []
            #expect(scores == scores.sorted(by: >))

            for body in [#"{"inputs":["good","bad"]}"#, #"{"inputs":[["good"],["bad"]]}"#] {
                let several = try await post(client, body).json
                #expect(several.array?.map { $0.array?.first?["label"] } == ["positive", "negative"])
            }
            let nested = try await post(client, #"{"inputs":"good","parameters":{"top_k":2}}"#).json
            #expect(nested.array?.count == 1)
            #expect(nested.array?[0].array?.count == 2)
            let logits = try await post(client, #"{"inputs":"good","parameters":{"function_to_apply":"none"}}"#).json
            #expect(logits.array?[0].array?.contains { ($0["score"]?.double ?? 0) < 0 } == true)
        }
    }

    @Test(arguments: [
        ("{", 400, "malformed_json", "the body is not JSON"), ("", 400, "malformed_json", "the body is not JSON"),
        ("[]", 422, "invalid_request", "the body is an array"), ("{}", 422, "invalid_request", "none of the fields"),
        (#"{"text":""}"#, 422, "invalid_request", "field \"text\" is empty"),
        (#"{"text":7}"#, 422, "invalid_request", "field \"text\" is a number; it must be a string"),
        (#"{"text":null}"#, 422, "invalid_request", "field \"text\" is null"),
        (#"{"text":"a","texts":["b"]}"#, 422, "invalid_request", "text and texts"),
        (#"{"texts":"a"}"#, 422, "invalid_request", "field \"texts\" is a string"),
        (#"{"texts":[]}"#, 422, "invalid_request", "field \"texts\" is empty"),
        (#"{"texts":["a",""]}"#, 422, "invalid_request", "field \"texts[1]\" is empty"),
        (#"{"inputs":[["a","b","c"]]}"#, 422, "invalid_request", "field \"inputs[0]\" has 3 texts"),
        (#"{"inputs":[{"text_pair":"b"}]}"#, 422, "invalid_request", "field \"inputs[0]\" has no \"text\""),
        (#"{"inputs":{"text":"a","text_pair":7}}"#, 422, "invalid_request", "field \"inputs.text_pair\" is a number"),
        (#"{"text":"a","text_pair":""}"#, 422, "invalid_request", "field \"text_pair\" is empty"),
        (#"{"inputs":"a","parameters":{"top_k":0}}"#, 422, "invalid_request", "parameters.top_k"),
        (#"{"inputs":"a","parameters":{"function_to_apply":"max"}}"#, 422, "invalid_request", "softmax, sigmoid, none"),
        (#"{"text":"a","truncate":1}"#, 422, "invalid_request", "field \"truncate\" is a number"),
        (#"{"instances":[{}]}"#, 422, "invalid_request", "field \"instances[0]\" has no \"text\""),
        (#"{"text":"a","truncation_side":"up"}"#, 422, "invalid_request", "field \"truncation_side\" must be"),
        (#"{"text":"a","parameters":{"max_length":9}}"#, 422, "invalid_request", "field \"parameters.max_length\" is not"),
        (#"{"text":"a","top_k":1}"#, 422, "invalid_request", "field \"top_k\" belongs to \"inputs\""),
    ])
    func `a request that is wrong is told what is wrong`(_ body: String, _ code: Int, _ type: String, _ expected: String)
        async throws
    {
        try await serve { client in
            let (status, json, headers) = try await post(client, body)
            #expect(status == code)
            #expect(json["error"]?["type"]?.string == type)
            #expect(json["error"]?["message"]?.string?.contains(expected) == true, "\(json)")
            #expect(headers[.requestID] != nil)
        }
    }

    @Test func `a text beyond the limits is refused with the limit and the length, or cut off`() async throws {
        try await serve { client in
            let million = String(repeating: "a", count: 1_000_000)
            let refused = try await post(client, "{\"text\":\"\(million)\"}")
            #expect(refused.status == 422)
            #expect(
                refused.json["error"]?["message"]?.string?.contains("has 1000000 characters; the limit is 100000") == true)

            let long = String(repeating: "so good ", count: 1000)
            #expect(try await post(client, "{\"text\":\"\(long)\"}").json["label"] == "positive")
            let strict = try await post(client, "{\"text\":\"\(long)\",\"truncate\":false}")
            #expect(strict.status == 422)
            #expect(
                strict.json["error"]?["message"]?.string?.contains("has 2002 tokens; the limit is 512") == true,
                "\(strict.json)")
        }
    }

    @Test func `a body or a batch beyond its limit is a 413, with the limit`() async throws {
        var limits = ServerLimits()
        (limits.bodyBytes, limits.clientBatch) = (100, 2)
        try await serve(.init(limits: limits)) { client in
            let body = try await post(client, "{\"text\":\"\(String(repeating: "a", count: 200))\"}")
            #expect(body.status == 413)
            #expect(body.json["error"]?["message"]?.string?.contains("limit of 100 bytes") == true)
            let batch = try await post(client, #"{"texts":["a","b","c"]}"#)
            #expect(batch.status == 413)
            #expect(batch.json["error"]?["message"]?.string == "field \"texts\" has 3 texts; the limit is 2")
        }
    }

    @Test func `a wrong path, method or content type has its own status`() async throws {
        try await serve { client in
            #expect(try await post(client, "{}", to: "/nothing").status == 404)
            let wrongMethod = try await post(client, "{}", to: "/status")
            #expect(wrongMethod.status == 405)
            #expect(wrongMethod.headers[.allow] == "GET, HEAD")
            for method in [HTTPRequest.Method.get, .delete, .init("PROPFIND")!] {
                let status = try await client.execute(uri: "/predict", method: method).status
                #expect(status == .methodNotAllowed)
            }
            let form = try await post(client, "text=a", type: "application/x-www-form-urlencoded")
            #expect(form.status == 415)
            #expect(form.json["error"]?["message"]?.string?.contains("application/x-www-form-urlencoded") == true)
            #expect(try await post(client, #"{"text":"a"}"#, type: "application/json; charset=utf-8").status == 200)
            #expect(try await post(client, #"{"text":"a"}"#, type: nil).status == 200)
        }
    }

    @Test func `every answer has a request id and a timing in milliseconds`() async throws {
        try await serve { client in
            let headers: HTTPFields = [.contentType: "application/json", .requestID: "my-id-1"]
            let response = try await client.execute(
                uri: "/predict", method: .post, headers: headers, body: ByteBuffer(string: #"{"text":"a"}"#))
            #expect(response.headers[.requestID] == "my-id-1")
            let timing = try #require(response.headers[.serverTiming])
            #expect(
                timing.wholeMatch(of: /tokenize;dur=\d+\.\d{3}, queue;dur=\d+\.\d{3}, infer;dur=\d+\.\d{3}/) != nil,
                "\(timing)")
            let other = try await client.execute(uri: "/status", method: .get)
            #expect(other.headers[.requestID]?.count == 36)
            #expect(other.headers[.serverTiming] == "tokenize;dur=0.000, queue;dur=0.000, infer;dur=0.000")
        }
    }

    @Test func `status tells the model's facts and health is up`() async throws {
        try await serve { client in
            let response = try await client.execute(uri: "/status", method: .get)
            let status = try JSONValue(parsing: Array(response.body.readableBytesView))
            #expect(status["architecture"] == "BertForSequenceClassification")
            #expect(status["labels"] == ["negative", "neutral", "positive"])
            #expect(status["weights_sha256"]?.string?.count == 64)
            #expect(status["limits"]?["max_tokens"] == 512)
            #expect((status["uptime_seconds"]?.double ?? -1) >= 0)
            for path in ["/health/live", "/health/ready"] {
                let status = try await client.execute(uri: path, method: .get).status
                #expect(status == .ok)
            }
        }
    }

    @Test func `lone surrogates, emoji and right-to-left text are answered`() async throws {
        try await serve { client in
            for text in [#"cut \ud83d"#, #"\ud83d\ude00"#, "مرحبا", #"\u0000"#, "[SEP][CLS]", " "] {
                let status = try await post(client, "{\"text\":\"\(text)\"}").status
                #expect(status == 200, "\(text)")
            }
        }
    }

    @Test func `thousands of requests from many clients at once each get their own answer`() async throws {
        let texts = (0..<97).map { "text \($0) " + String(repeating: $0 % 2 == 0 ? "so good " : "so bad ", count: $0 % 23) }
        let expected = try Support.classifier.get().predict(texts).map { JSONValue.float($0.best.value).serialized() }
        try await serve { client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for first in 0..<48 {
                    group.addTask {
                        for index in stride(from: first, to: 3000, by: 48) {
                            // Every fifth request has several texts.
                            let indices = (0..<(index % 5 == 0 ? 7 : 1)).map { (index + $0) % texts.count }
                            let list = JSONValue.array(indices.map { .string(texts[$0]) })
                            let body = String(decoding: JSONValue.object([.init("texts", list)]).serialized(), as: UTF8.self)
                            let answer = try await post(client, body).json
                            let scores = answer["predictions"]?.array?.map { $0["score"]?.serialized() }
                            #expect(scores == indices.map { expected[$0] })
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}
