import Engine
import HTTPTypes
import NIOCore
import Server
import Testing

/// The Open Inference Protocol, version 2.
@Suite struct InferenceProtocolTests {
    private static let model = "/v2/models/minilm-l6-tweet-sentiment"

    private func input(_ texts: [String], shape: String? = nil) -> String {
        let data = String(decoding: JSONValue.array(texts.map(JSONValue.string)).serialized(), as: UTF8.self)
        return #"{"name":"text","datatype":"BYTES","shape":\#(shape ?? "[\(texts.count)]"),"data":\#(data)}"#
    }

    @Test func `server and model describe themselves`() async throws {
        try await serve { client in
            func json(_ path: String) async throws -> JSONValue {
                try JSONValue(parsing: Array(try await get(client, path).text.utf8))
            }
            #expect(try await json("/v2")["extensions"] == ["binary_tensor_data"])
            #expect(try await json("/v2/health/live") == ["live": true])
            #expect(try await json("/v2/health/ready") == ["ready": true])
            #expect(try await json(Self.model + "/ready") == ["name": "minilm-l6-tweet-sentiment", "ready": true])
            let model = try await json(Self.model)
            #expect(model["inputs"]?.array?.map { $0["name"] } == ["text"])
            #expect(model["outputs"]?.array?.map { $0["name"] } == ["label", "score", "scores"])
            let unknown = try await get(client, "/v2/models/other")
            #expect(unknown.status == 404)
            #expect(try await get(client, Self.model + "/versions/1/ready").status == 200)
            #expect(try await get(client, Self.model + "/versions/2").status == 404)
            #expect(
                unknown.text == #"{"error":"there is no model \"other\"; this server has \"minilm-l6-tweet-sentiment\""}"#)
        }
    }

    @Test func `texts are answered by labels and scores, as everywhere else`() async throws {
        try await serve { client in
            for shape in ["[2]", "[2,1]"] {
                let body = #"{"id":"7","inputs":[\#(input(["I love it", "I hate it"], shape: shape))]}"#
                let (status, json, _) = try await post(client, body, to: Self.model + "/infer")
                #expect(status == 200 && json["id"] == "7" && json["model_name"] == "minilm-l6-tweet-sentiment")
                let outputs = try #require(json["outputs"]?.array)
                #expect(outputs.map { $0["name"] } == ["label", "score", "scores"])
                #expect(outputs[0]["data"] == ["positive", "negative"] && outputs[2]["shape"] == [2, 3])
                let plain = try await post(client, #"{"text":"I love it"}"#).json
                #expect(outputs[1]["data"]?.array?.first == plain["score"])
            }
            let chosen = #"{"inputs":[\#(input(["good"]))],"outputs":[{"name":"score"}]}"#
            let outputs = try await post(client, chosen, to: Self.model + "/infer").json["outputs"]?.array
            #expect(outputs?.map { $0["name"] } == ["score"])
        }
    }

    @Test func `binary tensors go in and come out`() async throws {
        try await serve { client in
            let texts = ["I love it", "", "naïve 🙂"].filter { !$0.isEmpty }
            let binary = texts.flatMap { text in
                (0..<4).map { UInt8(truncatingIfNeeded: text.utf8.count >> (8 * $0)) } + Array(text.utf8)
            }
            let head =
                #"{"inputs":[{"name":"text","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":\#(binary.count)}}],"parameters":{"binary_data_output":true}}"#
            let headers: HTTPFields = [
                .contentType: "application/octet-stream", .init("Inference-Header-Content-Length")!: "\(head.utf8.count)",
            ]
            let response = try await client.execute(
                uri: Self.model + "/infer", method: .post, headers: headers,
                body: ByteBuffer(bytes: Array(head.utf8) + binary))
            #expect(response.status == .ok)
            let length = try #require(response.headers[.init("Inference-Header-Content-Length")!].flatMap(Int.init))
            let bytes = Array(response.body.readableBytesView)
            let json = try JSONValue(parsing: Array(bytes[..<length]))
            let sizes = json["outputs"]?.array?.compactMap { $0["parameters"]?["binary_data_size"]?.integer } ?? []
            #expect(sizes.count == 3 && sizes[1] == 8 && sizes[2] == 24 && sizes.reduce(0, +) == bytes.count - length)
            let expected = try Support.classifier.get().predict(texts)
            let label = Array(expected[0].best.label.utf8)
            #expect(Array(bytes[length..<length + 4 + label.count]) == [UInt8(label.count), 0, 0, 0] + label)
            let bits = bytes[(length + sizes[0])...].prefix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            #expect(Float(bitPattern: bits) == expected[0].best.value)
        }
    }

    @Test(arguments: [
        ("[]", 422, "the body is an array"), ("{}", 422, "\"inputs\" is not an array"),
        (#"{"inputs":[]}"#, 422, "has 0 inputs"),
        (#"{"inputs":[{"name":""}]}"#, 422, "inputs[0].name"),
        (#"{"inputs":[{"name":"x"}]}"#, 422, "inputs[0].datatype"),
        (#"{"inputs":[{"name":"text","datatype":"FP32"}]}"#, 422, "datatype"),
        (#"{"inputs":[{"name":"text","datatype":"BYTES","shape":[2,2],"data":[]}]}"#, 422, "shape"),
        (#"{"inputs":[{"name":"text","datatype":"BYTES","shape":[-1],"data":[]}]}"#, 422, "shape"),
        (#"{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":"a"}]}"#, 422, "not an array of strings"),
        (#"{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":[1]}]}"#, 422, "data[0]\" is a number"),
        (#"{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":[""]}]}"#, 422, "inputs[0].data[0]\" is empty"),
        (#"{"inputs":[{"name":"text","datatype":"BYTES","shape":[2],"data":["a"]}]}"#, 422, "has 1 texts; its shape says 2"),
        (#"{"inputs":[{"name":"text","datatype":"BYTES","shape":[999999],"data":[]}]}"#, 413, "the limit is 128"),
        (#"{"id":7,"inputs":[]}"#, 422, "\"id\" is a number"),
        (
            #"{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}}]}"#, 422,
            "binary_data_size"
        ),
        (
            #"{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":["a"]}],"outputs":[{"name":"x"}]}"#, 422,
            "outputs[0].name"
        ),
        (
            #"{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":["a"]}],"outputs":[{"name":"label"},{"name":"label"}]}"#,
            422, "is named twice"
        ),
        (
            #"{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":["a"],"parameters":[]}]}"#, 422,
            "inputs[0].parameters\" is an array"
        ),
        (
            #"{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":["a"]}],"outputs":7}"#, 422,
            "\"outputs\" is a number"
        ),
    ])
    func `a request that is wrong is told what is wrong, as the protocol says it`(
        _ body: String, _ code: Int, _ expected: String
    ) async throws {
        try await serve { client in
            let (status, json, _) = try await post(client, body, to: Self.model + "/infer")
            #expect(status == code)
            #expect(json["error"]?.string?.contains(expected) == true, "\(json)")
        }
    }

    @Test func `binary data that lies about its lengths is refused`() async throws {
        try await serve { client in
            let cases: [([UInt8], String)] = [
                ([9, 0, 0, 0, 0x61], "ends within text 0"), ([1, 0], "ends within text 0"),
                ([255, 255, 255, 255, 0x61], "ends within text 0"), ([1, 0, 0, 0, 0xFF], "not UTF-8"),
                ([1, 0, 0, 0, 0x61, 1, 0, 0, 0, 0x62], "has 2 texts; its shape says 1"),
            ]
            for (binary, expected) in cases {
                let head =
                    #"{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":\#(binary.count)}}]}"#
                let headers: HTTPFields = [.init("Inference-Header-Content-Length")!: "\(head.utf8.count)"]
                let response = try await client.execute(
                    uri: Self.model + "/infer", method: .post, headers: headers,
                    body: ByteBuffer(bytes: Array(head.utf8) + binary))
                #expect(response.status.code == 422)
                #expect(String(buffer: response.body).contains(expected), "\(String(buffer: response.body))")
            }
            for length in ["-1", "x", "999"] {
                let headers: HTTPFields = [.init("Inference-Header-Content-Length")!: length]
                let status = try await client.execute(
                    uri: Self.model + "/infer", method: .post, headers: headers, body: ByteBuffer(string: "{}")
                ).status.code
                #expect(status == 400)
            }
        }
    }
}
