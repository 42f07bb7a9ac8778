import Engine
import Foundation
import Testing

/// The real binary, as a shell would run it.
struct Command {
    let status: Int32
    let output: String
    let errors: String

    static let binary = Bundle.main.bundleURL.appendingPathComponent("apus").path

    init(_ arguments: String..., input: [UInt8] = [], environment: [String: String] = [:]) throws {
        try self.init(arguments, input: input, environment: environment)
    }

    init(_ arguments: [String], input: [UInt8] = [], environment: [String: String] = [:]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.binary)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let (stdin, stdout, stderr) = (Pipe(), Pipe(), Pipe())
        (process.standardInput, process.standardOutput, process.standardError) = (stdin, stdout, stderr)
        try process.run()
        DispatchQueue.global().async {
            try? stdin.fileHandleForWriting.write(contentsOf: Data(input))
            try? stdin.fileHandleForWriting.close()
        }
        let errors = Pipe.reading(stderr)
        output = String(decoding: stdout.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        self.errors = errors()
        process.waitUntilExit()
        #expect(process.terminationReason == .exit, "the process must not crash")
        status = process.terminationStatus
    }
}

extension Pipe {
    /// Reads to the end beside the caller, so that neither pipe can fill up.
    fileprivate static func reading(_ pipe: Pipe) -> () -> String {
        let box = Box()
        let group = DispatchGroup()
        DispatchQueue.global().async(group: group) { box.data = pipe.fileHandleForReading.readDataToEndOfFile() }
        return {
            group.wait()
            return String(decoding: box.data, as: UTF8.self)
        }
    }

    private final class Box: @unchecked Sendable { var data = Data() }
}

@Suite struct CommandTests {
    private func json(_ line: some StringProtocol) throws -> JSONValue { try JSONValue(parsing: Array(line.utf8)) }

    @Test func `predict labels texts given as arguments`() throws {
        let command = try Command("predict", "I love MLOps", "I hate this")
        #expect(command.status == 0 && command.errors.isEmpty)
        let lines = command.output.split(separator: "\n").map { $0.split(separator: "\t") }
        #expect(lines.map { $0[0] } == ["positive", "negative"])
        #expect(lines.map { $0[2] } == ["I love MLOps", "I hate this"])
    }

    @Test func `predict keeps a JSON record's other fields`() throws {
        let input = #"{"id": 1.50, "text": "I love it", "user": {"a": [1]}}"# + "\n"
        let command = try Command("predict", "--input", "-", "--input-format", "jsonl", input: Array(input.utf8))
        #expect(command.status == 0)
        let record = try json(command.output)
        #expect(record["text"] == "I love it" && record["label"] == "positive")
        #expect(record["score"] == record["scores"]?["positive"])
        #expect(command.output.contains(#""id":1.50,"user":{"a": [1]}"#))
    }

    @Test func `predict turns CSV into CSV with the columns that were there`() throws {
        let input = "id,tweet\n7,\"I love \"\"this\"\",\nreally\"\n"
        let command = try Command(
            "predict", "--input", "-", "--input-format", "csv", "--text-field", "tweet", input: Array(input.utf8))
        #expect(command.status == 0)
        #expect(
            command.output.hasPrefix(
                "id,tweet,label,score,score_negative,score_neutral,score_positive\n7,\"I love \"\"this\"\",\nreally\",positive,0."
            ))
    }

    @Test func `a CSV file without rows gives the header alone`() throws {
        let command = try Command("predict", "--input-format", "csv", input: Array("id,text\n".utf8))
        #expect(command.status == 0)
        #expect(command.output == "id,text,label,score,score_negative,score_neutral,score_positive\n")
    }

    @Test func `predict streams: a slow writer sees each text answered at once`() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Command.binary)
        process.arguments = ["predict"]
        let (stdin, stdout) = (Pipe(), Pipe())
        (process.standardInput, process.standardOutput) = (stdin, stdout)
        try process.run()
        for word in ["good", "bad"] {
            try stdin.fileHandleForWriting.write(contentsOf: Data("\(word)\n".utf8))
            let answer = String(decoding: stdout.fileHandleForReading.availableData, as: UTF8.self)
            #expect(answer.hasSuffix("\t\(word)\n"))
        }
        try stdin.fileHandleForWriting.close()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
    }

    @Test func `tokenize shows ids and tokens as the model sees them`() throws {
        let command = try Command("tokenize", "@bob I love MLOps 😂")
        #expect(command.status == 0)
        let line = try json(command.output)
        #expect(line["tokens"] == ["[CLS]", "@", "user", "i", "love", "ml", "##ops", "😂", "[SEP]"])
        #expect(line["ids"]?.array?.count == 9)
    }

    @Test func `evaluate writes its report and exits 1 where the gate is missed`() throws {
        let folder = NSTemporaryDirectory() + "apus-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let rows = ["I love it,positive", "I hate it,negative", "Monday at noon,neutral", "so good,negative"]
        try ("text,label\n" + rows.joined(separator: "\n") + "\n").write(
            toFile: folder + "/data.csv", atomically: true, encoding: .utf8)

        let passed = try Command(
            "evaluate", "--dataset", folder + "/data.csv", "--min-accuracy", "0.6", "--report", folder + "/report.json")
        #expect(passed.status == 0, "\(passed.errors)")
        let report = try json(try String(contentsOfFile: folder + "/report.json", encoding: .utf8))
        #expect(report["accuracy"] == .number(0.75) && report["examples"] == 4)
        #expect(report["gate"] == ["passed": true, "failures": []])
        #expect(report["confusion_matrix"] == [[1, 0, 1], [0, 1, 0], [0, 0, 1]])
        #expect(report["per_class"]?["positive"]?["precision"] == .number(0.5))
        #expect(report["reference"] == .null)

        let failed = try Command("evaluate", "--dataset", folder + "/data.csv", "--min-accuracy", "0.9")
        #expect(failed.status == 1)
        #expect(failed.errors == "apus: the gate failed: accuracy 0.75 is under the minimum 0.9\n")
    }

    @Test(arguments: [
        (["predict", "--model", "/none", "a"], "/none: this model directory does not exist"),
        (["predict", ""], "text 1: the text is empty"), (["predict", "--input", "/none"], "/none: cannot be opened"),
        (["evaluate", "--dataset", "/none"], "/none: this data set does not exist"),
        (["predict", "--model", "", "a"], "--model: is empty"),
        (["serve", "--host", "nonsense.invalid"], "--host nonsense.invalid: is not an address of this machine"),
        (["predict", "--text-preparation", "upper", "a"], "--text-preparation: text preparation \"upper\" is unknown"),
        (["evaluate", "--dataset", "/", "--report", "/none/x"], "cannot be opened"),
    ])
    func `a bad input is one line and exit code 2`(_ arguments: [String], _ expected: String) throws {
        let command = try Command(arguments)
        #expect(command.status == 2)
        #expect(command.errors.contains(expected) && command.errors.split(separator: "\n").count == 1, "\(command.errors)")
        #expect(command.output.isEmpty)
    }

    @Test func `bad texts on standard input are one line and exit code 2, after the answers before them`() throws {
        let invalid = try Command("predict", input: Array("fine\n".utf8) + [0x61, 0xFF, 0x0A])
        #expect(invalid.status == 2)
        #expect(
            invalid.errors == "apus: standard input, line 2: is not valid UTF-8; convert the file, for example with iconv\n")
        #expect(invalid.output.hasSuffix("\tfine\n"))
        let long = try Command("predict", input: [UInt8](repeating: 0x61, count: 1_000_000))
        #expect(long.status == 2)
        #expect(long.errors.hasPrefix("apus: standard input, line 1: the text has 1000000 characters; the limit is 100000"))
        let named = try Command("predict", "--input", "-", input: [UInt8](repeating: 0x61, count: 1_000_000))
        #expect(named.errors == long.errors)
        let empty = try Command("predict", input: Array("\n".utf8))
        #expect(empty.status == 2)
        let late = try Command("predict", input: Array("one\ntwo\n\n".utf8))
        #expect(late.status == 2 && late.output.split(separator: "\n").count == 2)
        let json = try Command("predict", "--input-format", "jsonl", input: Array("{\"txt\": 1}\n".utf8))
        #expect(json.status == 2)
        let csv = try Command("predict", "--input-format", "csv", input: Array("text\n\"open\n".utf8))
        #expect(csv.status == 2 && csv.output.isEmpty)
    }

    @Test func `a wrong use is exit code 64`() throws {
        for arguments in [
            ["fly"], ["predict", "--threads", "0"], ["predict", "--input", "x", "text"], ["evaluate"],
            ["serve", "--port", "70000"],
            ["predict", "--text-field", "label", "a"], ["predict", "--precision", "int4", "a"],
            ["predict", "--backend", "openblas", "--precision", "int8", "a"], ["bench", "--threads", "0"],
            ["bench", "--lengths", "8,,9"], ["bench", "--backend", "openblas"], ["bench", "--seconds", "0"],
            ["bench", "--model", "x", "--architecture", "minilm-l6"],
        ] {
            #expect(try Command(arguments).status == 64, "\(arguments)")
        }
        #expect(try Command("--version").output == apusVersion + "\n")
    }

    @Test func `every precision and backend labels the same, each with its own arithmetic`() throws {
        func logits(_ options: String...) throws -> JSONValue? {
            let command = try Command(["predict", "--logits", "--output-format", "jsonl", "I love it"] + options)
            #expect(command.status == 0, "\(command.errors)")
            let line = try json(command.output.dropLast())
            #expect(line["label"] == "positive")
            return line["logits"]
        }
        let int8 = try logits()
        #expect(try logits("--precision", "int8", "--threads", "1", "--backend", "simd") == int8)
        let f32 = try logits("--precision", "f32")
        let openBLAS = try logits("--backend", "openblas")
        #expect(int8 != f32 && int8 != openBLAS)
        for (a, b) in zip(f32?.array ?? [], openBLAS?.array ?? []) {
            #expect(abs((a.double ?? 0) - (b.double ?? 9)) < 1e-4)
        }
    }

    @Test func `bench measures what was asked for and writes its report`() throws {
        let path = NSTemporaryDirectory() + "apus-" + UUID().uuidString + ".json"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let command = try Command(
            "bench", "--lengths", "4,9", "--threads", "1,2", "--batch", "3", "--seconds", "0.01", "--products", "--report",
            path)
        #expect(command.status == 0, "\(command.errors)")
        #expect(command.errors.isEmpty, "no progress bar in a pipe")
        let report = try json(try String(contentsOfFile: path, encoding: .utf8))
        #expect(report["isa"] == .string(try InstructionSet.select().name))
        #expect(try #require(report["peak"]?["int8_gops"]?.double) > 0 && report["peak"]?["f32_gflops"]?.double ?? 0 > 0)
        let results = try #require(report["results"]?.array)
        let cells = results.map { [$0["precision"], $0["threads"], $0["length"], $0["batch"]] }
        let expected: [[JSONValue?]] = ["int8", "f32"].flatMap { precision in
            [1, 2].flatMap { threads in
                [4, 9].map { [.string(precision), .integer(threads), .integer($0), 3] }
            }
        }
        #expect(cells == expected)
        for result in results {
            let times = ["min_ms", "p50_ms", "p90_ms", "p99_ms"].map { result[$0]?.double ?? 0 }
            #expect(times[0] > 0 && times == times.sorted())
            #expect(try #require(result["efficiency"]?.double) > 0)
        }
        #expect(report["products"]?.array?.count == 2 * 4 * 7)
    }

    @Test(arguments: [
        (["--lengths", "600"], "--lengths: must be from 1 to this model's 512 tokens, not 600"),
        (["--lengths", "512", "--batch", "3"], "--batch: 3 texts of 512 tokens are 1536; a pass takes at most 1024"),
        (["--model", "/none"], "/none: this model directory does not exist"),
    ])
    func `bench refuses what the model cannot take before it measures`(_ options: [String], _ message: String) throws {
        let command = try Command(["bench"] + options)
        #expect(command.status == 2 && command.output.isEmpty)
        #expect(command.errors.hasPrefix("apus: \(message)"), "\(command.errors)")
    }

    @Test func `an unknown instruction set is exit code 2 and a known one works`() throws {
        #expect(try Command("predict", "a", environment: ["APUS_FORCE_ISA": "mmx"]).status == 2)
        for available in InstructionSet.available {
            let command = try Command("predict", "I love it", environment: ["APUS_FORCE_ISA": available.name])
            #expect(command.output.hasPrefix("positive"))
        }
    }

    @Test func `the self-test names every check and passes`() throws {
        let command = try Command("self-test")
        #expect(command.status == 0 && command.errors.isEmpty, "\(command.errors)")
        let lines = command.output.split(separator: "\n")
        #expect(lines.dropLast().allSatisfy { $0.hasPrefix("ok: ") } && lines.count > 30)
        #expect(lines.last?.contains("checks passed in") == true)
    }

    @Test(
        arguments: [
            (["--max-queue", "0"], [:], "--max-queue: must be from 1 to 10000000, not 0"),
            ([], ["APUS_MAX_QUEUE": "many"], "APUS_MAX_QUEUE: is \"many\", not a number from 1 to 10000000"),
            ([], ["APUS_REQUEST_TIMEOUT": "-1"], "APUS_REQUEST_TIMEOUT: must be from 0.001 to"),
            (["--log-level", "info"], ["APUS_PORT": "99999"], "APUS_PORT: must be from 0 to 65535, not 99999"),
            ([], ["APUS_LOG_FORMAT": "xml"], "APUS_LOG_FORMAT: is \"xml\"; it must be one of text, json"),
            ([], ["APUS_API_KEY_EVERYWHERE": "true"], "--api-key-everywhere: protects nothing without --api-key"),
            (
                [], ["APUS_API_KEY_EVERYWHERE": "perhaps"],
                "APUS_API_KEY_EVERYWHERE: is \"perhaps\"; it must be true or false"
            ),
            (["--api-key", ""], [:], "--api-key: is empty"),
            ([], ["APUS_API_KEY": ""], "APUS_API_KEY: is empty"),
            (
                [], ["APUS_API_KEY": "secret\n"],
                "--api-key: has a line end or another character that no HTTP header can hold"
            ),
            ([], ["APUS_THREADS": "0"], "APUS_THREADS: must be from 1 to 1024, not 0"),
            ([], ["APUS_PRECISION": "int4"], "APUS_PRECISION: is \"int4\"; it must be one of"),
            (
                ["--drift-window", "100", "--drift-min-samples", "200"], [:],
                "--drift-min-samples: is 200, more than --drift-window's 100"
            ),
            (["--max-batch-tokens", "5000"], [:], "--max-batch-tokens: is 5000; a pass of this model takes 1024 at most"),
            (["--max-client-batch", "2000"], [:], "--max-client-batch: is 2000, more than the queue's 1024"),
        ] as [([String], [String: String], String)])
    func `a server's setting that is wrong is named with its place and its limit`(
        _ options: [String], _ environment: [String: String], _ expected: String
    ) throws {
        let port = environment["APUS_PORT"] == nil ? ["--port", "0"] : []
        let command = try Command(["serve"] + port + options, environment: environment)
        #expect(command.status == 2)
        #expect(
            command.errors.hasPrefix("apus: \(expected)") && command.errors.split(separator: "\n").count == 1,
            "\(command.errors)")
    }

    @Test func `evaluate writes the profile that a server compares with`() throws {
        let folder = NSTemporaryDirectory() + "apus-" + UUID().uuidString
        try FileManager.default.copyItem(atPath: try ModelDirectory.shipped().path, toPath: folder)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let data = folder + "/data.csv"
        try "text,label\nI love it,positive\nI hate it,negative\n".write(toFile: data, atomically: true, encoding: .utf8)
        #expect(try Command("evaluate", "--model", folder, "--dataset", data, "--drift-reference").status == 0)
        let first = try String(contentsOfFile: folder + "/reference_profile.json", encoding: .utf8)
        #expect(try Command("evaluate", "--model", folder, "--dataset", data, "--write-profile").status == 0)
        #expect(try String(contentsOfFile: folder + "/reference_profile.json", encoding: .utf8) == first)
        let profile = try json(try String(contentsOfFile: folder + "/reference_profile.json", encoding: .utf8))
        #expect(profile["texts"] == 2 && profile["features"]?["label"] == ["negative": 1, "neutral": 0, "positive": 1])
        try "{}".write(toFile: folder + "/reference_profile.json", atomically: true, encoding: .utf8)
        let command = try Command("serve", "--port", "0", "--model", folder)
        #expect(command.status == 2)
        #expect(command.errors.hasPrefix("apus: \(folder)/reference_profile.json: has no whole number \"format_version\""))
    }

    @Test func `serve opens its port, answers, and leaves on SIGTERM with status 0`() async throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Command.binary)
        process.arguments = ["serve", "--port", "0", "--grace-period", "1"]
        let stderr = Pipe()
        process.standardError = stderr
        try process.run()
        var log = ""
        while !log.contains("http://127.0.0.1:"), process.isRunning {
            log += String(decoding: stderr.fileHandleForReading.availableData, as: UTF8.self)
        }
        let port = try #require(log.firstMatch(of: /http:\/\/127\.0\.0\.1:(\d+)/)).1
        let curl = Process()
        curl.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        curl.arguments = [
            "curl", "-s", "-H", "Content-Type: application/json", "-d", #"{"text":"I love MLOps"}"#,
            "http://127.0.0.1:\(port)/predict",
        ]
        let output = Pipe()
        curl.standardOutput = output
        try curl.run()
        #expect(
            try json(String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self))["label"]
                == "positive")
        let second = try Command("serve", "--port", "\(port)")
        #expect(second.status == 2)
        #expect(second.errors.contains("127.0.0.1:\(port): cannot be listened on"), "\(second.errors)")
        // A client that stops in the middle of its body does not keep the server from leaving.
        let stuck = Process()
        stuck.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        stuck.arguments = ["curl", "-s", "-N", "-T", "-", "-X", "POST", "http://127.0.0.1:\(port)/predict"]
        let body = Pipe()
        stuck.standardInput = body
        try stuck.run()
        try body.fileHandleForWriting.write(contentsOf: Data("{".utf8))
        process.terminate()
        process.waitUntilExit()
        #expect(process.terminationReason == .exit && process.terminationStatus == 0)
        stuck.terminate()
    }
}
