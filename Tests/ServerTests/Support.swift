import Engine
import Foundation
import HTTPTypes
import Logging
import NIOCore
import Server
import Testing

enum Support {
    /// The shipped model, loaded once.
    static let classifier = Result { try Classifier(try ModelDirectory.shipped()) }
}

/// Runs `body` against a server on a real port.
func serve(
    _ options: ServerOptions = ServerOptions(), logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
    _ body: @escaping @Sendable (LoopbackClient) async throws -> Void
) async throws {
    let server = try ApusServer(classifier: try Support.classifier.get(), options: options, logger: logger)
    try #require(try await LoopbackClient.with(server, body) != nil, "the server did not start")
}

func post(
    _ client: LoopbackClient, _ body: String, to path: String = "/predict", type: String? = "application/json",
    headers more: HTTPFields = [:]
) async throws -> (status: Int, json: JSONValue, headers: HTTPFields) {
    var headers = more
    headers[.contentType] = type
    let response = try await client.execute(uri: path, method: .post, headers: headers, body: ByteBuffer(string: body))
    let json = try JSONValue(parsing: Array(response.body.readableBytesView))
    return (response.status.code, json, response.headers)
}

func get(_ client: LoopbackClient, _ path: String) async throws -> (status: Int, text: String, headers: HTTPFields) {
    let response = try await client.execute(uri: path, method: .get)
    return (response.status.code, String(buffer: response.body), response.headers)
}

/// A client that sends whatever bytes it likes.
struct RawClient {
    enum Step: Sendable {
        case send(String)
        case sendBytes([UInt8])
        /// Sends no more, and goes on reading.
        case shutDown
        case pause(milliseconds: Int)
        /// Reads until the text came, or the connection ends.
        case readUntil(String)
        case readToEnd
    }

    /// All that the server at `port` of this machine sends; a server that is silent for 10 seconds ends it.
    static func run(port: Int, _ steps: [Step]) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            // A thread of its own: it blocks.
            Thread.detachNewThread { continuation.resume(with: Result { try converse(port, steps) }) }
        }
    }

    private struct SocketError: Error {
        let call: String
        let code = errno
    }

    private static func converse(_ port: Int, _ steps: [Step]) throws -> String {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, size) }
        }
        guard status == 0 else { throw SocketError(call: "connect") }
        var timeout = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var received: [UInt8] = []
        func read(until isEnough: () -> Bool) {
            var chunk = [UInt8](repeating: 0, count: 65_536)
            while !isEnough() {
                let count = recv(descriptor, &chunk, chunk.count, 0)
                if count <= 0 { return }
                received += chunk[..<count]
            }
        }
        for step in steps {
            switch step {
            case .send(let text): sendAll(descriptor, Array(text.utf8))
            case .sendBytes(let bytes): sendAll(descriptor, bytes)
            case .shutDown: shutdown(descriptor, Int32(SHUT_WR))
            case .pause(let milliseconds): usleep(UInt32(milliseconds) * 1000)
            case .readUntil(let text): read { String(decoding: received, as: UTF8.self).contains(text) }
            case .readToEnd: read { false }
            }
        }
        return String(decoding: received, as: UTF8.self)
    }

    /// A server may close before it has read all.
    private static func sendAll(_ descriptor: Int32, _ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            sent += count
        }
    }
}

/// A `POST /predict` as it goes over the wire.
func request(_ body: String, headers: String = "") -> String {
    "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\(headers)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
}
