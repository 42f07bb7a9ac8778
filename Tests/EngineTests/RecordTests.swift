import Engine
import Foundation
import Testing

@Suite struct RecordTests {
    private func read(_ content: [UInt8], _ format: RecordFormat, field: String = "text") throws -> [Record] {
        let directory = try TemporaryDirectory()
        try directory.write(content, to: "input")
        var reader = try RecordReader(path: directory.path + "/input", format: format, textField: field)
        var records: [Record] = []
        while let record = try reader.next() { records.append(record) }
        return records
    }

    private func read(_ content: String, _ format: RecordFormat, field: String = "text") throws -> [Record] {
        try read(Array(content.utf8), format, field: field)
    }

    @Test func `lines end at a line feed only, the last with or without one`() throws {
        #expect(try read("a\r\nb\u{2028}c\u{85}d\ne", .text).map(\.text) == ["a", "b\u{2028}c\u{85}d", "e"])
        #expect(try read("a\nb\n", .text).map(\.line) == [1, 2])
        #expect(try read("", .text).isEmpty)
    }

    @Test func `a line that spans many blocks stays whole`() throws {
        let long = String(repeating: "é", count: 100_000)
        #expect(try read("x\n\(long)\ny", .text).map(\.text) == ["x", long, "y"])
    }

    @Test func `invalid UTF-8 and an empty text name the line`() throws {
        #expect(message { _ = try read([0x61, 0x0A, 0xFF, 0x0A], .text) }.hasSuffix("line 2: is not valid UTF-8; convert the file, for example with iconv"))
        #expect(message { _ = try read("a\n\nb", .text) }.contains("line 2: the text is empty"))
        #expect(message { _ = try read(#"{"text":""}"#, .jsonl) }.contains("line 1: the text is empty"))
    }

    @Test func `a JSON record keeps its other fields as they stand`() throws {
        let records = try read(#"{"id": 1.0, "text": "a\nb", "big": 123456789012345678901234567890, "o": {"x": [1, 2]}}"#, .jsonl)
        #expect(records[0].text == "a\nb")
        #expect(
            records[0].fields == [
                .init("id", .raw(Array("1.0".utf8))), .init("big", .raw(Array("123456789012345678901234567890".utf8))),
                .init("o", .raw(Array(#"{"x": [1, 2]}"#.utf8))),
            ])
    }

    @Test(arguments: [
        (#"{"txt": "a"}"#, "has no field \"text\""), (#"{"text": 3}"#, "field \"text\" is not a string"),
        ("[1]", "is not a JSON object with a text"), (#"{"text": "a"} x"#, "more after the document's end"), ("", "is not a JSON object"),
    ])
    func `a JSON line without a text is refused`(_ line: String, _ expected: String) {
        #expect(message { _ = try read(line + "\n", .jsonl) }.contains(expected))
    }

    @Test func `CSV cells may hold commas, quotes and new lines`() throws {
        let records = try read("id,text,x\r\n1,\"a, \"\"b\"\"\r\nc\",\"\"\r\n\r\n2,plain,z", .csv)
        #expect(records.map(\.text) == ["a, \"b\"\r\nc", "plain"])
        #expect(records.map(\.line) == [2, 5])
        #expect(records[0].fields == [.init("id", "1"), .init("x", "")])
        #expect(try read("tweet\nhello\n", .csv, field: "tweet").map(\.text) == ["hello"])
        #expect(try read("\u{FEFF}text,x\na\rb,\"c\r\"\r\n", .csv) == [Record(text: "a\rb", fields: [.init("x", "c\r")], line: 2)])
    }

    @Test(arguments: [
        ("a,b\n1,2\n", "has no column \"text\"; its columns are a, b"), ("", "is empty; a CSV file begins with a header"),
        ("text,b\n1\n", "line 2: has 1 cells; the header has 2"), ("text\n\"open\nmore", "line 2: has a quote that is not closed"),
    ])
    func `a CSV file that does not fit is refused`(_ content: String, _ expected: String) {
        #expect(message { _ = try read(content, .csv) }.contains(expected))
    }
}

@Suite struct FileReplacementTests {
    @Test func `a file is replaced whole, through a link, and a device stays a device`() throws {
        let directory = try TemporaryDirectory()
        let (file, link) = (directory.path + "/file", directory.path + "/link")
        try directory.write("old", to: "file")
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: file)
        try FileReplacement.write(Array("new".utf8), to: link)
        #expect(try directory.read("file") == Array("new".utf8))
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == file)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted() == ["file", "link"])
        #expect(message { try FileReplacement.write([1], to: "/dev/full") } == "/dev/full: cannot be written: No space left on device")
        #expect(message { try FileReplacement.write([1], to: directory.path) }.contains("cannot be written"))
        #expect(message { try FileReplacement.write([1], to: directory.path + "/none/x") }.contains("No such file or directory"))
    }
}

@Suite struct EvaluationTests {
    @Test func `metrics equal scikit-learn's for an uneven case`() {
        // sklearn: accuracy 4/7, recalls 2/3, 1/2, 1/2; precisions 2/3, 1/2, 1/2
        let metrics = ClassificationMetrics(
            truth: [0, 0, 0, 1, 1, 2, 2], predicted: [0, 0, 1, 1, 2, 2, 0], labelCount: 3)
        #expect(metrics.confusion == [[2, 1, 0], [0, 1, 1], [1, 0, 1]])
        #expect(abs(metrics.accuracy - 4.0 / 7) < 1e-12)
        #expect(abs(metrics.macroRecall - (2.0 / 3 + 0.5 + 0.5) / 3) < 1e-12)
        #expect(abs(metrics.macroF1 - (2.0 / 3 + 0.5 + 0.5) / 3) < 1e-12)
    }

    @Test func `a label that is never true or never predicted divides by nothing`() {
        let metrics = ClassificationMetrics(truth: [0, 0], predicted: [0, 1], labelCount: 3)
        #expect(metrics.classes.map(\.precision) == [1, 0, 0])
        // sklearn.metrics.recall_score and f1_score, average="macro": labels 0 and 1
        #expect(metrics.macroRecall == 0.25)
        #expect(abs(metrics.macroF1 - 1.0 / 3) < 1e-12)
    }

    @Test func `the gate reports every minimum that was missed and none where none was asked for`() {
        let metrics = ClassificationMetrics(truth: [0, 1], predicted: [0, 0], labelCount: 2)
        #expect(Gate().failures(metrics) == nil)
        #expect(Gate(minimumAccuracy: 0.5).failures(metrics) == [])
        #expect(Gate(minimumAccuracy: 0.6, minimumMacroRecall: 0.7).failures(metrics)?.count == 2)
        #expect(Gate(minimumAccuracy: .nan).failures(metrics)?.count == 1)
    }

    @Test func `percentiles go by nearest rank`() {
        let summary = LatencySummary(milliseconds: (1...200).map(Double.init).shuffled())
        #expect(summary.p50 == 100 && summary.p90 == 180 && summary.p99 == 198 && summary.mean == 100.5)
        #expect(LatencySummary(milliseconds: [3]).p99 == 3)
    }

    @Test func `a data set that does not fit is refused`() throws {
        let directory = try TemporaryDirectory()
        let labels = ["negative", "positive"]
        func load(_ name: String = "") -> String {
            message { _ = try Dataset(path: directory.path + name, split: "test", modelLabels: labels) }
        }
        try directory.write("0\tnegative\n1\tpositive\n", to: "mapping.txt")
        try directory.write("a\nb\n", to: "test_text.txt")
        try directory.write("0\n", to: "test_labels.txt")
        #expect(load().contains("test_text.txt has 2 lines, test_labels.txt has 1"))
        try directory.write("0\n7\n", to: "test_labels.txt")
        #expect(load().contains("test_labels.txt, line 2: \"7\" is not in mapping.txt"))
        try directory.write("0\tbad\n1\tgood\n", to: "mapping.txt")
        try directory.write("0\n1\n", to: "test_labels.txt")
        #expect(load().contains("label \"bad\" is not one of the model's, which are negative, positive"))
        #expect(load("/none").contains("this data set does not exist"))
        try directory.write("a\n\n", to: "test_text.txt")
        #expect(load().contains("test_text.txt, line 2: the text is empty"))
        try directory.write("{\"text\": \"a\", \"label\": \"positive\"}\n{\"text\": \"b\"}\n", to: "x.jsonl")
        #expect(load("/x.jsonl").contains("line 2: has no string in field \"label\""))
        try directory.write("text,label\n", to: "x.csv")
        #expect(load("/x.csv").contains("has no examples"))
    }

    @Test func `threads default to the control group's quota where that is smaller`() throws {
        let root = try TemporaryDirectory()
        try FileManager.default.createDirectory(atPath: root.path + "/a/b", withIntermediateDirectories: true)
        try root.write("0::/a/b\n", to: "membership")
        func quota() -> Int? { ProcessorCount.quota(root: root.path, membership: root.path + "/membership") }
        #expect(quota() == nil)
        try root.write("max 100000\n", to: "a/b/cpu.max")
        #expect(quota() == nil)
        try root.write("350000 100000\n", to: "a/cpu.max")
        #expect(quota() == 4)
        try root.write("50000 100000\n", to: "a/b/cpu.max")
        #expect(quota() == 1)
        #expect(ProcessorCount.available >= 1)
    }
}
