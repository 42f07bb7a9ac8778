import Engine
import Foundation
import NIOCore
import Server
import Testing

/// What clients do to a socket.
@Suite struct ConnectionTests {
    private func converse(
        _ options: ServerOptions = ServerOptions(), _ steps: RawClient.Step..., check: @escaping @Sendable (String) -> Void
    ) async throws {
        try await serve(options) { client in
            let port = client.port
            check(try await run(port, steps))
            // Whatever one client did, the next one is served.
            let next = try await run(
                port, [.send(request(#"{"text":"good"}"#, headers: "Connection: close\r\n")), .readToEnd])
            #expect(next.hasPrefix("HTTP/1.1 200 OK"), "\(next)")
        }
    }

    private func run(_ port: Int, _ steps: [RawClient.Step]) async throws -> String {
        try await RawClient.run(port: port, steps)
    }

    /// How many status lines there are.
    private func answers(in text: String) -> Int { text.components(separatedBy: "HTTP/1.1 ").count - 1 }

    private static let impatient: ServerOptions = {
        var limits = ServerLimits()
        limits.readTimeout = .milliseconds(300)
        limits.idleTimeout = .milliseconds(600)
        return ServerOptions(limits: limits)
    }()

    @Test func `pipelined requests are answered in order`() async throws {
        let bodies = (0..<40).map { $0 % 2 == 0 ? #"{"text":"I love it"}"# : #"{"text":"I hate it"}"# }
        let sent = bodies.map { request($0) }.joined()
        try await converse(
            .init(), .send(sent + "GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), .readToEnd
        ) { answer in
            let labels = answer.matches(of: /"label":"(\w+)"/).map { String($0.1) }
            #expect(labels == (0..<40).map { $0 % 2 == 0 ? "positive" : "negative" })
            #expect(answer.hasSuffix(#"{"status":"live"}"#))
        }
    }

    @Test func `a client that has shut its half down is answered, and the connection ends`() async throws {
        try await converse(.init(), .send(request(#"{"text":"I love it"}"#)), .shutDown, .readToEnd) { answer in
            #expect(answer.contains(#""label":"positive""#))
        }
    }

    @Test func `a request that is no HTTP gets a 400 in the form of every error`() async throws {
        for garbage in [
            "\u{16}\u{03}\u{01}\u{02}", "HELLO\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        ] {
            try await converse(.init(), .send(garbage), .readToEnd) { answer in
                #expect(answer.hasPrefix("HTTP/1.1 400 "), "\(garbage): \(answer)")
                #expect(
                    answer.contains(#"{"error":{"type":"bad_request","message":"the request is not well-formed HTTP/1.1"#))
                #expect(answer.lowercased().contains("x-request-id: "))
            }
        }
    }

    @Test func `garbage behind a request does not take that request's answer away`() async throws {
        try await converse(.init(), .send(request(#"{"text":"I love it"}"#) + "garbage\r\n\r\n"), .readToEnd) { answer in
            #expect(answer.contains(#""label":"positive""#))
            #expect(answer.contains("HTTP/1.1 400 "))
        }
    }

    @Test func `a header that is too long is a 431`() async throws {
        let header = "GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: 100_000))\r\n\r\n"
        try await converse(.init(), .send(header), .readToEnd) { #expect($0.hasPrefix("HTTP/1.1 431 "), "\($0)") }
    }

    @Test func `a body that ends before its length is a 400`() async throws {
        let cut = "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{\"text\":"
        try await converse(.init(), .send(cut), .shutDown, .readToEnd) { #expect($0.hasPrefix("HTTP/1.1 400 "), "\($0)") }
    }

    @Test func `a chunk with a size that is no number is a 400, once`() async throws {
        let bad = "POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"te\r\nzz\r\n"
        try await converse(.init(), .send(bad), .readToEnd) { answer in
            #expect(answer.hasPrefix("HTTP/1.1 400 "), "\(answer)")
            #expect(answers(in: answer) == 1)
        }
    }

    @Test func `two ways to frame one body are refused`() async throws {
        let smuggled =
            "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"
        try await converse(.init(), .send(smuggled), .readToEnd) { answer in
            #expect(answer.hasPrefix("HTTP/1.1 400 "), "\(answer)")
            #expect(answers(in: answer) == 1)
        }
    }

    @Test func `a header or a body that trickles in gets a 408`() async throws {
        let starts = ["POST /predict HT", "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"]
        for start in starts {
            try await converse(
                Self.impatient, .send(start), .pause(milliseconds: 150), .send("T"), .pause(milliseconds: 100), .send("P"),
                .readToEnd
            ) { answer in
                #expect(answer.hasPrefix("HTTP/1.1 408 "), "\(answer)")
                #expect(answer.contains(#""type":"request_timeout""#))
            }
        }
    }

    @Test func `a connection on which nothing happens is closed without a word`() async throws {
        try await converse(Self.impatient, .readToEnd) { #expect($0.isEmpty) }
        let once = "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
        try await converse(Self.impatient, .send(once), .readToEnd) { #expect(answers(in: $0) == 1) }
    }

    @Test func `a client that offers another protocol is answered in this one, and what it sends behind is not kept`()
        async throws
    {
        let body = #"{"text":"I love it"}"#
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        for behind in ["", String(repeating: "x", count: 1_000_000)] {
            try await converse(.init(), .send(request(body, headers: upgrade) + behind), .readToEnd) { answer in
                #expect(answer.hasPrefix("HTTP/1.1 200 OK") && answer.contains(#""label":"positive""#), "\(answer)")
                #expect(answer.lowercased().contains("connection: close"))
            }
        }
        try await converse(.init(), .send("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"), .readToEnd) { answer in
            #expect(answer.hasPrefix("HTTP/1.1 4"), "\(answer)")
        }
    }

    @Test func `an offer of HTTP 2 is declined, and the connection goes on in this one`() async throws {
        let offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
        let (first, second) = (request(#"{"text":"I love it"}"#, headers: offer), request(#"{"text":"I hate it"}"#))
        let last = "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        let all = first + second + first + last
        for pieces in [[all], [first, second, first, last], all.map(String.init)] {
            try await serve { client in
                let steps = pieces.map { RawClient.Step.send($0) } + [.readToEnd]
                let answer = try await run(client.port, steps)
                #expect(answers(in: answer) == 4, "\(answer)")
                #expect(answer.components(separatedBy: #""label":"positive""#).count == 3)
                #expect(answer.lowercased().components(separatedBy: "connection: close").count == 2)
            }
        }
    }

    @Test func `a body that goes wrong behind a good request is refused at once, after the answer to that`() async throws {
        let bad = "POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
        try await converse(.init(), .send(request(#"{"text":"I love it"}"#) + bad), .readToEnd) { answer in
            #expect(answer.contains(#""label":"positive""#) && answer.contains("HTTP/1.1 400 "), "\(answer)")
            #expect(answers(in: answer) == 2)
        }
    }

    @Test func `a pipelined request that asks whether to go on is told so when its turn comes`() async throws {
        let body = #"{"text":"I hate it"}"#
        let asks =
            "POST /predict HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        try await converse(
            .init(), .send(request(#"{"text":"I love it"}"#) + asks), .readUntil("100 Continue\r\n\r\n"), .send(body),
            .readToEnd
        ) { answer in
            #expect(answer.contains(#""label":"positive""#) && answer.contains(#""label":"negative""#), "\(answer)")
        }
    }

    @Test func `a client that takes nothing of what it asked for is given up`() async throws {
        var limits = ServerLimits()
        (limits.idleTimeout, limits.readTimeout) = (.milliseconds(500), .milliseconds(500))
        // The socket's buffers hold some megabytes at most; the client reads none of them, and then all that is left.
        let asks = String(repeating: "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n", count: 20)
        try await converse(.init(limits: limits), .send(asks), .pause(milliseconds: 2500), .readToEnd) { answer in
            #expect(answer.utf8.count < 20_000_000, "not all twenty were sent")
        }
    }

    @Test func `a half-closed client gets a large answer whole`() async throws {
        let ask = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n"
        try await converse(.init(), .send(ask), .shutDown, .pause(milliseconds: 300), .readToEnd) { answer in
            let length = answer.firstMatch(of: /[Cc]ontent-[Ll]ength: (\d+)/).flatMap { Int($0.1) } ?? 0
            // An interim answer may stand before it.
            let final = answer.components(separatedBy: "HTTP/1.1 200 OK").last ?? ""
            let body = final.range(of: "\r\n\r\n").map { final[$0.upperBound...].utf8.count }
            #expect(length > 1_000_000 && body == length)
        }
    }

    @Test func `a client that asks whether to go on is told so, or refused`() async throws {
        let head = "POST /predict HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: "
        let body = #"{"text":"I love it"}"#
        try await converse(
            .init(), .send(head + "\(body.utf8.count)\r\n\r\n"), .readUntil("100 Continue\r\n\r\n"), .send(body), .readToEnd
        ) { answer in
            #expect(answer.hasPrefix("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"), "\(answer)")
        }
        try await converse(.init(), .send(head + "999999999\r\n\r\n"), .readToEnd) {
            #expect($0.hasPrefix("HTTP/1.1 413 "), "\($0)")
        }
    }

    @Test func `a body beyond the limit is answered while it still comes, and not read for ever`() async throws {
        var limits = ServerLimits()
        limits.bodyBytes = 1000
        let chunk = "3e8\r\n\(String(repeating: "a", count: 1000))\r\n"
        let head = "POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        let endless = String(repeating: chunk, count: 1000)
        try await converse(.init(limits: limits), .send(head), .send(endless), .readToEnd) {
            #expect($0.hasPrefix("HTTP/1.1 413 "), "\($0)")
        }
    }

    @Test func `HEAD has the headers of GET and no body, also among other requests`() async throws {
        let requests =
            "HEAD /status HTTP/1.1\r\nHost: a\r\n\r\nGET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        try await converse(.init(), .send(requests), .readToEnd) { answer in
            let answers = answer.components(separatedBy: "HTTP/1.1 200 OK\r\n")
            #expect(answers.count == 3)
            #expect(answers[1].hasSuffix("\r\n\r\n") && answers[1].lowercased().contains("content-length: "))
            #expect(answers[2].hasSuffix(#"{"status":"live"}"#))
        }
    }

    @Test func `an HTTP/1.0 client gets its answer and the end of the connection`() async throws {
        let body = #"{"text":"I love it"}"#
        let old = "POST /predict HTTP/1.0\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        try await converse(.init(), .send(old), .readToEnd) { answer in
            #expect(answer.contains(#""label":"positive""#) && answer.lowercased().contains("connection: close"))
        }
    }

    @Test func `a connection that is to be closed is closed, however that is spelt`() async throws {
        for spelling in ["close", "Close", "CLOSE"] {
            let once = "GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: \(spelling)\r\n\r\n"
            try await converse(.init(), .send(once), .readToEnd) { #expect($0.lowercased().contains("connection: close")) }
        }
    }
}
