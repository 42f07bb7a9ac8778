import Engine
import Foundation
import Logging
import Server
import Testing

@Suite struct LogTests {
    /// What `body` logs, as it arrives in a file.
    private func lines(_ format: LineLogHandler.Format, level: Logger.Level = .info, _ body: (Logger) -> Void) throws
        -> [String]
    {
        let path = NSTemporaryDirectory() + "apus-log-\(UUID().uuidString)"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer {
            close(descriptor)
            unlink(path)
        }
        let writer = LineWriter(descriptor: descriptor) { Array("\($0) lost\n".utf8) }
        body(Logger(label: "apus") { LineLogHandler(label: $0, format: format, level: level, writer: writer) })
        writer.flush()
        return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init)
    }

    @Test func `a JSON line has the event's fields, figures as figures`() throws {
        let lines = try lines(.json) { logger in
            var logger = logger
            logger[metadataKey: "own"] = "kept"
            logger.info(
                "hello \"you\"\nthere",
                metadata: ["status": .stringConvertible(200), "ms": .stringConvertible(1.5), "list": ["a"]])
        }
        #expect(lines.count == 1)
        let line = try JSONValue(parsing: Array(lines[0].utf8))
        #expect(line["message"] == "hello \"you\"\nthere" && line["level"] == "info" && line["logger"] == "apus")
        #expect(line["status"] == 200 && line["ms"] == .number(1.5) && line["own"] == "kept" && line["list"] == ["a"])
        #expect(line["time"]?.string?.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil)
    }

    @Test func `a text line stays one line, whatever a value holds`() throws {
        let lines = try lines(.text) { logger in
            logger.warning("asked", metadata: ["path": "/a b\n2026 error forged=\"yes\"", "plain": "x=1", "empty": ""])
        }
        #expect(lines.count == 1)
        #expect(lines[0].hasSuffix(#" warning asked empty="" path="/a b\n2026 error forged=\"yes\"" plain=x=1"#))
    }

    @Test func `what is under the level is not written`() throws {
        #expect(try lines(.text, level: .warning) { $0.info("no") }.isEmpty)
    }

    @Test func `a full disk loses lines and nothing else, and they are counted`() throws {
        let full = open("/dev/full", O_WRONLY | O_CLOEXEC)
        defer { close(full) }
        let writer = LineWriter(descriptor: full) { Array("\($0) lost\n".utf8) }
        for _ in 0..<3 { writer.write(Array("line\n".utf8)) }
        writer.flush()
        // The same number is a file now: the disk has room again.
        let path = NSTemporaryDirectory() + "apus-log-\(UUID().uuidString)"
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { unlink(path) }
        dup2(file, full)
        close(file)
        writer.write(Array("again\n".utf8))
        writer.flush()
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "again\n3 lost\n")
    }

    @Test func `a line that a full disk tore apart does not run into the next one`() async {
        // In a process of its own: a limit on the size of files, of 50 bytes, stands for the disk.
        await #expect(processExitsWith: .success) {
            let path = NSTemporaryDirectory() + "apus-log-\(UUID().uuidString)"
            let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            defer { unlink(path) }
            signal(SIGXFSZ, SIG_IGN)
            let resource = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
            var old = rlimit()
            getrlimit(resource, &old)
            var small = rlimit(rlim_cur: 50, rlim_max: old.rlim_max)
            setrlimit(resource, &small)
            let writer = LineWriter(descriptor: file) { Array("\($0) lost\n".utf8) }
            for _ in 0..<3 { writer.write(Array("0123456789012345678\n".utf8)) }
            writer.flush()
            setrlimit(resource, &old)
            writer.write(Array("again\n".utf8))
            writer.flush()
            let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
            guard lines == ["0123456789012345678", "0123456789012345678", "0123456789", "again", "1 lost"] else {
                fatalError("\(lines)")
            }
        }
    }

    @Test func `a reader who stands still holds nobody up`() throws {
        var ends: [Int32] = [0, 0]
        pipe(&ends)
        defer { for end in ends { close(end) } }
        let writer = LineWriter(descriptor: ends[1], capacity: 1 << 16) { Array("\($0) lost\n".utf8) }
        let line = [UInt8](repeating: 0x61, count: 999) + [0x0A]
        // A pipe holds 64 KB, the writer as much again; all others are lost at once.
        for _ in 0..<1000 { writer.write(line) }
        #expect(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0)
        var received: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let deadline = Date(timeIntervalSinceNow: 10)
        while Date() < deadline, !String(decoding: received.suffix(20), as: UTF8.self).hasSuffix(" lost\n") {
            let count = read(ends[0], &chunk, chunk.count)
            if count > 0 { received += chunk[..<count] } else { writer.write([0x0A]) }
        }
        let lost = String(decoding: received, as: UTF8.self).matches(of: /(\d+) lost\n/).compactMap { Int($0.1) }.reduce(
            0, +)
        let whole = received.split(separator: 0x0A).count { $0.count == 999 }
        #expect(whole + lost >= 1000 && lost > 500)
    }

    @Test func `a request's line has its id and its trace, and never its text`() async throws {
        let path = NSTemporaryDirectory() + "apus-log-\(UUID().uuidString)"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer {
            close(descriptor)
            unlink(path)
        }
        let writer = LineWriter(descriptor: descriptor) { _ in [] }
        let logger = Logger(label: "apus") { LineLogHandler(label: $0, format: .json, level: .debug, writer: writer) }
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        try await serve(logger: logger) { client in
            _ = try await post(
                client, #"{"text":"my very secret words"}"#, headers: [.requestID: "id-7", .init("traceparent")!: parent])
            _ = try await post(
                client, #"{"text":7,"secret":"my very secret words"}"#, headers: [.init("traceparent")!: "forged"])
        }
        writer.flush()
        let lines = try String(contentsOfFile: path, encoding: .utf8)
        #expect(!lines.contains("secret"))
        let requests = try lines.split(separator: "\n").map { try JSONValue(parsing: Array($0.utf8)) }
            .filter { $0["message"] == "request" }
        #expect(requests.count == 2)
        #expect(requests[0]["request_id"] == "id-7" && requests[0]["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736")
        #expect(requests[0]["parent_span_id"] == "00f067aa0ba902b7" && requests[0]["span_id"]?.string?.count == 16)
        #expect(requests[0]["status"] == 200 && requests[0]["texts"] == 1 && requests[0]["tokens"] == 6)
        #expect(
            requests[1]["status"] == 422 && requests[1]["error"] == "invalid_request" && requests[1]["trace_id"] == nil)
    }

    @Test func `a traceparent is read in its exact form alone, and a later version's as far as it is known`() throws {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        for good in [parent, "01" + parent.dropFirst(2), "cc" + parent.dropFirst(2) + "-more"] {
            let header = try #require(TraceContext(good)).header
            #expect(header.hasPrefix(parent.prefix(36)) && header.hasSuffix("-01") && header != parent, "\(good)")
        }
        for wrong in [
            nil, "", "00", parent.uppercased(), parent + "-", parent + "-more", String(parent.dropLast()),
            parent.replacing("-", with: "_"), "ff" + parent.dropFirst(2), "cc" + parent.dropFirst(2) + "more",
            parent.replacing("4bf92f3577b34da6a3ce929d0e0e4736", with: String(repeating: "0", count: 32)),
            parent.replacing("00f067aa0ba902b7", with: String(repeating: "0", count: 16)), "é" + parent.dropFirst(2),
        ] {
            #expect(TraceContext(wrong) == nil, "\(wrong ?? "none")")
        }
    }
}
