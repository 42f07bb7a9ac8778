import Benchmark
import Foundation

/// The binary from its start to one prediction, and the memory it takes. APUS names it; `make bench` builds it.
func processBenchmarks() {
    let binary = Suite.environment["APUS"] ?? ".build/release/apus"
    let name = "apus predict, from its start to the end of one text"
    guard FileManager.default.isExecutableFile(atPath: binary) else {
        return skip(name, gate: false, because: "there is no \(binary); build it with make build, or name one in APUS")
    }
    measure(name, [.ofVersion, .peakMemory, .wallNanoseconds], gate: false, iterations: 30) {
        let (output, _, _) = try run(binary, ["predict", "I love MLOps"])
        try expect(output.contains("positive"), "apus predict says \(output)")
        return { record in
            let version = try! run(binary, ["--version"])
            let predict = try! run(binary, ["predict", "I love MLOps"])
            record(.ofVersion, 1000 * predict.nanoseconds / version.nanoseconds)
            record(.peakMemory, Double(predict.peakKiB))
            record(.wallNanoseconds, predict.nanoseconds)
        }
    }
}

private func run(_ binary: String, _ arguments: [String]) throws -> (output: String, nanoseconds: Double, peakKiB: Int) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: binary)
    process.arguments = arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardInput = FileHandle.nullDevice
    let clock = ContinuousClock()
    let start = clock.now
    try process.run()
    // Read until it ends: VmHWM only rises.
    var peak = 0
    while let status = try? String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8),
        let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") })
    {
        peak = max(peak, Int(line.split(whereSeparator: \.isWhitespace)[1]) ?? 0)
        usleep(500)
    }
    let time = (clock.now - start) / .nanoseconds(1)
    process.waitUntilExit()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    guard process.terminationStatus == 0 else {
        throw WrongAnswer(description: "\(binary) ended with \(process.terminationStatus)")
    }
    return (output, time, peak)
}
