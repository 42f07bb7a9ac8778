import Engine
import Foundation
import HTTPTypes
import Logging
import Server
import Testing

@Suite struct TrainingRecordsTests {
    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = NSTemporaryDirectory() + "apus-records-\(UUID())"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private func names(_ folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    }

    private func content(_ path: String) -> [UInt8] { Array(FileManager.default.contents(atPath: path) ?? Data()) }

    private func mode(_ path: String) -> mode_t {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
    }

    // Files

    @Test func `files hold whole lines in order, up to their size, and are their owner's alone`() throws {
        try withFolder { folder in
            let files = try RecordFiles(directory: folder, fileBytes: 100, timeToLive: 1000)
            var lines = (10..<40).map { Array("line \($0) \(String(repeating: "x", count: $0))\n".utf8) }
            lines.insert(Array((String(repeating: "y", count: 299) + "\n").utf8), at: 7)
            #expect(files.append(Array(lines[..<20]), at: 5000) == 20)
            #expect(files.append(Array(lines[20...]), at: 5000) == 11)
            #expect(mode(folder) == 0o700)
            let names = try names(folder)
            #expect(names.count > 10)
            for name in names {
                let bytes = content("\(folder)/\(name)")
                #expect(mode("\(folder)/\(name)") == 0o600)
                #expect(bytes.count <= 100 || bytes == lines[7], "\(name) has \(bytes.count) bytes")
            }
            #expect(names.flatMap { content("\(folder)/\($0)") } == lines.flatMap(\.self))
        }
    }

    @Test func `a directory that is there keeps its mode, and two servers write to files of their own`() throws {
        try withFolder { folder in
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
            let (one, other) = (
                try RecordFiles(directory: folder, fileBytes: 100, timeToLive: 1000),
                try RecordFiles(directory: folder, fileBytes: 100, timeToLive: 1000)
            )
            for _ in 0..<2 { #expect(one.append([[1, 10]], at: 7) == 1 && other.append([[2, 10]], at: 7) == 1) }
            #expect(mode(folder) == 0o755)
            #expect(content(folder + "/records-7.jsonl") == [1, 10, 1, 10])
            #expect(content(folder + "/records-8.jsonl") == [2, 10, 2, 10])
        }
    }

    @Test func `no line is older than the time to live, and none goes before nine tenths of it`() throws {
        try withFolder { folder in
            let (timeToLive, step) = (1000, 7)
            let files = try RecordFiles(directory: folder, fileBytes: 1 << 20, timeToLive: timeToLive)
            let others = ["notes.txt", "records-x.jsonl", "records-1.jsonl.gz", "my-records-1.jsonl"]
            for name in others { try Data("kept".utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name)")) }
            for time in stride(from: 10_000, to: 15_000, by: step) {
                #expect(files.removeOld(at: time))
                // An idle time, in which files end as well.
                if !(12_000...13_500 ~= time) { #expect(files.append([Array("\(time)\n".utf8)], at: time) == 1) }
                let kept = try names(folder).filter { !others.contains($0) }
                    .flatMap { String(decoding: content("\(folder)/\($0)"), as: UTF8.self).split(separator: "\n") }
                    .compactMap { Int($0) }
                let expected = stride(from: 10_000, through: time, by: step).filter { !(12_000...13_500 ~= $0) }
                #expect(kept.allSatisfy { time - $0 < timeToLive }, "at \(time)")
                #expect(
                    Set(expected.filter { time - $0 <= timeToLive - timeToLive / 10 }).isSubset(of: kept), "at \(time)")
            }
            #expect(Set(try names(folder)).isSuperset(of: others))
        }
    }

    @Test func `a file or a directory that somebody deleted is noticed, and writing goes on when it can`() throws {
        try withFolder { folder in
            let files = try RecordFiles(directory: folder, fileBytes: 100, timeToLive: 1000)
            #expect(files.append([[1, 10]], at: 1) == 1)
            unlink(folder + "/records-1.jsonl")
            #expect(files.append([[2, 10]], at: 2) == 1)
            #expect(content(folder + "/records-2.jsonl") == [2, 10])
            try FileManager.default.removeItem(atPath: folder)
            #expect(files.append([[3, 10]], at: 3) == 0 && errno == ENOENT)
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
            #expect(files.append([[4, 10], [5, 10]], at: 4) == 2)
            #expect(content(folder + "/records-4.jsonl") == [4, 10, 5, 10])
            #expect(throws: InputError.self) {
                try RecordFiles(directory: folder + "/records-4.jsonl", fileBytes: 100, timeToLive: 1000)
            }
        }
    }

    // What is recorded

    private func lines(_ folder: String) throws -> [JSONValue] {
        try names(folder).flatMap { content("\(folder)/\($0)").split(separator: 10) }.map {
            try JSONValue(parsing: Array($0))
        }
    }

    private func records(_ folder: String, share: Double = 1, _ metrics: ServerMetrics = ServerMetrics()) throws
        -> TrainingRecords
    {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        // The millisecond is a whole one in binary, too.
        return try TrainingRecords(
            RecordOptions(directory: folder, share: share), metrics: metrics, logger: logger,
            now: { Date(timeIntervalSince1970: 1_800_000_000.5) })
    }

    @Test func `a share of the requests is kept, by their ids and whole`() throws {
        let predictions = try Support.classifier.get().predict(["I love it", "I hate it"])
        try withFolder { folder in
            var kept: [Double: Set<String>] = [:]
            for share in [0.02, 0.25, 1] {
                let records = try records("\(folder)/\(share)", share: share)
                for id in 0..<2000 {
                    records.record(["a", "b"], pairs: [], predictions, of: "\(id)", model: "m@1")
                }
                records.flush()
                let lines = try lines("\(folder)/\(share)")
                let ids = lines.compactMap { $0["id"]?.string }
                #expect(lines.count == 2 * Set(ids).count)
                #expect(lines.map { $0["index"]?.integer } == lines.indices.map { $0 % 2 })
                // Five standard deviations of the binomial distribution.
                #expect(abs(Double(Set(ids).count) - 2000 * share) <= 5 * (2000 * share * (1 - share)).squareRoot())
                kept[share] = Set(ids)
            }
            // One that a small share has is in a larger one, too.
            #expect(kept[0.02]?.isSubset(of: kept[0.25] ?? []) == true)
        }
    }

    @Test func `a line says of a text what was answered`() throws {
        let prediction = try Support.classifier.get().predict(["I love it"])[0]
        try withFolder { folder in
            let records = try records(folder)
            records.record(["one\n\"two\"\u{2028}é"], pairs: ["pair"], [prediction], of: "id", model: "m@1")
            records.flush()
            #expect(try names(folder) == ["records-1800000000500.jsonl"])
            let line = try #require(try lines(folder).first)
            #expect(line.object?.map(\.name) == ["id", "time", "model", "text", "text_pair", "scores"])
            #expect(line["time"] == "2027-01-15T08:00:00.500Z" && line["id"] == "id" && line["model"] == "m@1")
            #expect(line["text"] == "one\n\"two\"\u{2028}é" && line["text_pair"] == "pair")
            let scores = line["scores"]?.object?.map { "\($0.name) \(Float($0.value.double ?? -1))" }
            #expect(scores == prediction.scores.map { "\($0.label) \($0.value)" })
        }
    }

    @Test func `what the buffer cannot hold is dropped by whole requests, and counted`() throws {
        let prediction = try Support.classifier.get().predict(["I love it"])[0]
        try withFolder { folder in
            let metrics = ServerMetrics()
            let records = try records(folder, metrics)
            let long = String(repeating: "x", count: 1 << 20)
            func record(_ id: String, _ count: Int) {
                let texts = Array(repeating: long, count: count)
                let predictions = Array(repeating: prediction, count: count)
                records.record(texts, pairs: [], predictions, of: id, model: "m@1")
            }
            record("large", 17)
            record("small", 3)
            records.flush()
            #expect(try lines(folder).compactMap { $0["id"]?.string } == ["small", "small", "small"])
            #expect(metrics.registry.text.contains("apus_records_total{result=\"dropped\"} 17\n"))
            #expect(metrics.registry.text.contains("apus_records_total{result=\"written\"} 3\n"))
            // What was written makes room.
            for _ in 0..<3 {
                record("again", 12)
                records.flush()
            }
            #expect(metrics.registry.text.contains("apus_records_total{result=\"written\"} 39\n"))
            // Into a directory that is gone, nothing is written, and all is counted.
            try FileManager.default.removeItem(atPath: folder)
            record("lost", 2)
            records.flush()
            #expect(metrics.registry.text.contains("apus_records_total{result=\"dropped\"} 19\n"))
        }
    }

    @Test func `feedback follows its answer, or is left out with it`() async throws {
        let folder = NSTemporaryDirectory() + "apus-records-\(UUID())"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var options = ServerOptions()
        options.records = RecordOptions(directory: folder, share: 0.5)
        try await serve(options) { client in
            for id in 0..<20 {
                let mine = [HTTPField.Name("X-Request-Id")!: "\(id)"] as HTTPFields
                #expect(try await post(client, #"{"texts":["I love it","I hate it"]}"#, headers: mine).status == 200)
                for label in ["neutral", "neutral", "positive"] {
                    let body = #"{"request_id":"\#(id)","index":1,"label":"\#(label)"}"#
                    #expect(try await post(client, body, to: "/feedback").status == 200)
                }
            }
            _ = try await post(client, #"{"request_id":"none","label":"neutral"}"#, to: "/feedback")
            var isWritten = false
            for _ in 0..<500 where !isWritten {
                let status = try JSONValue(parsing: Array(try await get(client, "/status").text.utf8))["records"]
                #expect(
                    status?["directory"]?.string == folder && status?["share"] == .number(0.5) && status?["dropped"] == 0)
                let written = status?["written"]?.integer ?? 0
                isWritten = try written > 0 && lines(folder).last?["label"] == "positive"
                if !isWritten { try await Task.sleep(for: .milliseconds(20)) }
            }
            #expect(isWritten)
            let byID = Dictionary(grouping: try lines(folder)) { $0["id"]?.string ?? "" }
            #expect(1..<20 ~= byID.count)
            for (id, lines) in byID {
                // What is said twice is written once.
                #expect(lines.map { $0["text"]?.string } == ["I love it", "I hate it", nil, nil], "\(id)")
                #expect(lines.map { $0["label"]?.string } == [nil, nil, "neutral", "positive"], "\(id)")
                #expect(lines.map { $0["index"]?.integer } == [0, 1, 1, 1], "\(id)")
            }
        }
    }

    // The data set

    private static func answer(_ id: String, _ text: String, _ positive: Double, time: String = "2026-11-28T03:00:00.000Z")
        -> String
    {
        let scores = #"{"negative":\#(1 - positive),"positive":\#(positive)}"#
        return #"{"id":"\#(id)","time":"\#(time)","model":"m@1","text":"\#(text)","scores":\#(scores)}"#
    }

    private static func judgement(_ id: String, _ label: String, index: Int = 0) -> String {
        #"{"id":"\#(id)","index":\#(index),"label":"\#(label)","time":"2026-11-28T03:00:01.000Z"}"#
    }

    private func export(
        _ files: [[String]], _ set: (inout RecordExport) -> Void = { _ in }
    ) throws -> (lines: [JSONValue], said: String) {
        var result: (lines: [JSONValue], said: String) = ([], "")
        try withFolder { folder in
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
            for (number, lines) in files.enumerated() {
                // Names of different lengths: the order is that of their numbers.
                let path = "\(folder)/records-\(9 + number).jsonl"
                try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: path))
            }
            let output = folder + "/data.jsonl"
            var export = try RecordExport(directory: folder)
            set(&export)
            result.said = try export.write(to: output).replacing(folder, with: "")
            result.lines = try content(output).split(separator: 10).map { try JSONValue(parsing: Array($0)) }
            #expect(mode(output) == 0o600)
        }
        return result
    }

    private func pairs(_ lines: [JSONValue]) -> [String] {
        lines.map { "\($0["text"]?.string ?? "") \($0["label"]?.string ?? "") \($0["source"]?.string ?? "")" }
    }

    @Test func `the last feedback is the label, in whatever file; else the model's own where it is sure`() throws {
        let files = [
            [
                Self.answer("a", "one", 0.95), Self.answer("b", "two", 0.1), Self.answer("c", "three", 0.6),
                Self.judgement("a", "negative"),
            ],
            [Self.judgement("a", "positive"), Self.judgement("a", "negative"), Self.judgement("c", "positive")],
        ]
        let (lines, said) = try export(files)
        #expect(pairs(lines) == ["one negative feedback", "two negative model", "three positive feedback"])
        #expect(lines[0]["predicted"] == "positive" && lines[0]["confidence"] == .number(0.95))
        #expect(lines[1]["confidence"] == .number(0.9) && lines[1]["id"] == "b" && lines[1]["model"] == "m@1")
        #expect(said == "/data.jsonl: 3 of 3 texts, 2 with feedback's label and 1 with the model's")
        let labelled = try export(files) { $0.isLabelledOnly = true }
        #expect(pairs(labelled.lines) == ["one negative feedback", "three positive feedback"])
        #expect(labelled.said.hasSuffix("; left out: 1 without feedback"))
        let sure = try export(files) { $0.minimumConfidence = 0.91 }
        #expect(pairs(sure.lines) == pairs(labelled.lines) && sure.said.contains("1 less sure than 0.91 (--min-confidence)"))
    }

    @Test func `a text stands once: feedback before the model, the latest of either; a pair is another text`() throws {
        let pair = Self.answer("f", "one", 0.95).replacing(#""scores""#, with: #""text_pair":"x","scores""#)
        let (lines, said) = try export([
            [
                Self.answer("a", "one", 0.95), Self.answer("b", "one", 0.95), Self.judgement("b", "negative"),
                Self.answer("c", "one", 0.97), Self.answer("d", "two", 0.95), Self.answer("e", "two", 0.98), pair,
            ]
        ])
        #expect(pairs(lines) == ["one negative feedback", "two positive model", "one positive model"])
        #expect(lines.map { $0["id"]?.string } == ["b", "e", "f"] && lines[2]["text_pair"] == "x")
        #expect(said.hasSuffix("left out: 3 the same text again"))
    }

    @Test func `feedback is to the text that had its id then, and to that index`() throws {
        let second = Self.answer("a", "three", 0.95).replacing(#""time""#, with: #""index":1,"time""#)
        let (lines, said) = try export([
            [
                Self.judgement("a", "negative"), Self.answer("a", "one", 0.95), Self.judgement("a", "neutral"),
                Self.answer("a", "two", 0.95), second, Self.judgement("a", "negative"),
                Self.judgement("a", "other", index: 1),
                Self.judgement("a", "negative", index: 2),
            ]
        ])
        #expect(pairs(lines) == ["one neutral feedback", "two negative feedback", "three other feedback"])
        #expect(said.hasSuffix("left out: 2 feedback without its text"))
    }

    @Test func `damaged lines are passed over and counted, and so is what is too early or blank`() throws {
        let good = Self.answer("a", "one", 0.95)
        let damaged = [
            "{", "[]", "null", "7", String(good.dropLast(9)), good.replacing("text", with: "txet"),
            good.replacing(#""id":"a""#, with: #""id":7"#), good.replacing(#""negative":"#, with: #""negative":null,"n":"#),
            good.replacing(#""time""#, with: #""index":-1,"time""#),
            good.replacing(#""time""#, with: #""index":"b","time""#),
            good.replacing("one", with: "\u{1}"), good + " " + good, String(repeating: "[", count: 1000),
            good.replacing("one", with: String(repeating: "x", count: 17 << 20)), "\u{0}\u{0}\u{0}",
        ]
        let early = Self.answer("b", "two", 0.95, time: "2026-11-27T23:59:59.999Z")
        let blank = Self.answer("c", " \\u001f\\t\\u3000", 0.95)
        for line in damaged {
            let (lines, said) = try export([[line, good, "", line, early, blank]]) {
                $0.since = Date(timeIntervalSince1970: 1_795_824_000)  // 2026-11-28
            }
            #expect(pairs(lines) == ["one positive model"])
            let expected =
                "/data.jsonl: 1 of 3 texts, 0 with feedback's label and 1 with the model's; left out: 1 before --since, "
                + "1 blank, 2 damaged, the first at /records-9.jsonl, line 1"
            #expect(said == expected, "\(line.prefix(200))")
        }
    }

    @Test func `without a record, or one that fits, the data set that was there stays`() throws {
        try withFolder { folder in
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
            #expect { try RecordExport(directory: folder) } throws: { "\($0)".contains("has no records") }
            try FileManager.default.createDirectory(
                atPath: folder + "/records-1.jsonl", withIntermediateDirectories: false)
            #expect { try RecordExport(directory: folder) } throws: { "\($0)".contains("has no records") }
            try Data((Self.answer("a", "one", 0.6) + "\n").utf8).write(to: URL(fileURLWithPath: folder + "/records-2.jsonl"))
            let output = folder + "/data.jsonl"
            try Data("before".utf8).write(to: URL(fileURLWithPath: output))
            let export = try RecordExport(directory: folder)
            #expect { try export.write(to: output) } throws: {
                "\($0)" == "\(folder): no text of its records fits: 1 less sure than 0.9 (--min-confidence)"
            }
            #expect(content(output) == Array("before".utf8))
            #expect(try names(folder).count == 3)
        }
    }
}
