import Benchmark
import Engine
import Foundation

/// The binary from its start to its first answer, on one thread, and the most memory it takes until then. Its files are in the
/// page cache. APUS names it; `make bench` builds it.
func processBenchmarks() {
    let binary = Suite.environment["APUS"] ?? ".build/release/apus"
    for precision in [Precision.int8, .f32] {
        let options = ["--threads", "1", "--precision", precision.rawValue]
        measureProcess("apus predict, \(precision.rawValue), from its start to its first answer", binary) {
            let process = try Running(binary, ["predict"] + options)
            try process.input.write(contentsOf: Data("I love MLOps\n".utf8))
            let answer = String(decoding: process.output.availableData, as: UTF8.self)
            let figures = process.end()
            try expect(answer.hasPrefix("positive"), "apus predict says \(answer)")
            return figures
        }
        measureProcess("apus serve, \(precision.rawValue), from its start to its first answer", binary) {
            let process = try Running(binary, ["serve", "--port", "0"] + options)
            var log = ""
            while !log.contains("url=http://127.0.0.1:") || !log.hasSuffix("\n") {
                let more = process.errors.availableData
                try expect(!more.isEmpty, "apus serve ended: \(log)")
                log += String(decoding: more, as: UTF8.self)
            }
            let port = log.components(separatedBy: "url=http://127.0.0.1:")[1].prefix { $0.isNumber }
            let answer = try post(#"{"text":"I love MLOps"}"#, to: "/predict", port: UInt16(port)!)
            let figures = process.end()
            try expect(answer.contains(#"{"label":"positive""#), "apus serve answers \(answer)")
            return figures
        }
    }
}

/// The answer to a request over a connection of its own.
private func post(_ body: String, to path: String, port: UInt16) throws -> String {
    let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(connection) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let connected = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(connection, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    try expect(connected == 0, "no connection to port \(port): \(String(cString: strerror(errno)))")
    let handle = FileHandle(fileDescriptor: connection)
    let head = "POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    try handle.write(contentsOf: Data("\(head)Content-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8))
    return String(decoding: handle.readDataToEndOfFile(), as: UTF8.self)
}

private typealias ProcessFigures = (nanoseconds: Double, peakKiB: Int)

private func measureProcess(_ name: String, _ binary: String, _ run: @escaping () throws -> ProcessFigures) {
    guard FileManager.default.isExecutableFile(atPath: binary) else {
        return skip(name, gate: false, because: "there is no \(binary); build it with make build, or name one in APUS")
    }
    measure(name, [.ofVersion, .peakMemory, .wallNanoseconds], gate: false, iterations: 22, seconds: 5) {
        _ = try run()
        return { record in
            let version = try! Running(binary, ["--version"])
            _ = version.output.readDataToEndOfFile()
            let started = version.end().nanoseconds
            let figures = try! run()
            record(.ofVersion, 1000 * figures.nanoseconds / started)
            record(.peakMemory, Double(figures.peakKiB))
            record(.wallNanoseconds, figures.nanoseconds)
        }
    }
}

/// A process of the binary, from its start.
private struct Running {
    let input: FileHandle
    let output: FileHandle
    let errors: FileHandle
    private let process = Process()
    private let start: ContinuousClock.Instant

    init(_ binary: String, _ arguments: [String]) throws {
        let (input, output, errors) = (Pipe(), Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: binary)
        process.arguments = arguments
        (process.standardInput, process.standardOutput, process.standardError) = (input, output, errors)
        self.input = input.fileHandleForWriting
        (self.output, self.errors) = (output.fileHandleForReading, errors.fileHandleForReading)
        start = ContinuousClock.now
        try process.run()
    }

    /// The time until now, and the most memory so far; then it is ended.
    func end() -> ProcessFigures {
        let time = (ContinuousClock.now - start) / .nanoseconds(1)
        let status = (try? String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        process.terminate()
        process.waitUntilExit()
        return (time, line.flatMap { Int($0.split(whereSeparator: \.isWhitespace)[1]) } ?? 0)
    }
}
