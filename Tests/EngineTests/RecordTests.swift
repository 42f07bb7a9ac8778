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
        #expect(
            message { _ = try read([0x61, 0x0A, 0xFF, 0x0A], .text) }.hasSuffix(
                "line 2: is not valid UTF-8; convert the file, for example with iconv"))
        #expect(message { _ = try read("a\n\nb", .text) }.contains("line 2: the text is empty"))
        #expect(message { _ = try read(#"{"text":""}"#, .jsonl) }.contains("line 1: the text is empty"))
    }

    @Test func `a JSON record keeps its other fields as they stand`() throws {
        let records = try read(
            #"{"id": 1.0, "text": "a\nb", "big": 123456789012345678901234567890, "o": {"x": [1, 2]}}"#, .jsonl)
        #expect(records[0].text == "a\nb")
        #expect(
            records[0].fields == [
                .init("id", .raw(Array("1.0".utf8))), .init("big", .raw(Array("123456789012345678901234567890".utf8))),
                .init("o", .raw(Array(#"{"x": [1, 2]}"#.utf8))),
            ])
    }

    @Test(arguments: [
        (#"{"txt": "a"}"#, "has no field \"text\""), (#"{"text": 3}"#, "field \"text\" is not a string"),
        ("[1]", "is not a JSON object with a text"), (#"{"text": "a"} x"#, "more after the document's end"),
    ])
    func `a JSON line without a text is refused`(_ line: String, _ expected: String) {
        #expect(message { _ = try read(line + "\n", .jsonl) }.contains(expected))
    }

    @Test func `an array of JSON objects tells where each of them begins, and objects may stand a line each`() throws {
        let records = try read("\n[\n{\"text\": \"a\"}, {\"text\":\n\"b\", \"x\": [1]}\n, {\"text\": \"c\"}]\n", .json)
        #expect(records.map(\.text) == ["a", "b", "c"] && records.map(\.line) == [3, 3, 5])
        #expect(try read("[]", .json).isEmpty && read("", .json).isEmpty)
        #expect(try read("\n{\"text\":\"a\"}\n\n{\"text\":\"b\"}", .json).map(\.line) == [2, 4])
        #expect(message { _ = try read("[{\"text\": \"a\"}", .json) }.contains("is not a JSON array of objects"))
        #expect(message { _ = try read("[{\"text\": \"a\"}] x", .json) }.contains("is not a JSON array of objects"))
        #expect(message { _ = try read("[1]", .json) }.contains("line 1: is not a JSON object with a text"))
    }

    @Test func `blank lines between JSON lines are passed over`() throws {
        let records = try read("{\"text\":\"a\"}\n\n \t\r\n{\"text\":\"b\"}\n\n", .jsonl)
        #expect(records.map(\.text) == ["a", "b"] && records.map(\.line) == [1, 4])
    }

    @Test func `TSV cells are apart by tabs, and commas are theirs`() throws {
        let records = try read("id\ttext\r\n1\ta, \"b\"\n2\t\"c\td\"\n", .tsv)
        #expect(records.map(\.text) == ["a, \"b\"", "c\td"])
    }

    @Test func `CSV cells may hold commas, quotes and new lines`() throws {
        let records = try read("id,text,x\r\n1,\"a, \"\"b\"\"\r\nc\",\"\"\r\n\r\n2,plain,z", .csv)
        #expect(records.map(\.text) == ["a, \"b\"\r\nc", "plain"])
        #expect(records.map(\.line) == [2, 5])
        #expect(records[0].fields == [.init("id", "1"), .init("x", "")])
        #expect(try read("tweet\nhello\n", .csv, field: "tweet").map(\.text) == ["hello"])
        #expect(
            try read("\u{FEFF}text,x\na\rb,\"c\r\"\r\n", .csv) == [
                Record(text: "a\rb", fields: [.init("x", "c\r")], line: 2)
            ])
    }

    @Test(arguments: [
        ("a,b\n1,2\n", "has no column \"text\"; its columns are a, b"), ("", "is empty; a CSV file begins with a header"),
        ("text,b\n1\n", "line 2: has 1 cells; the header has 2"),
        ("text\n\"open\nmore", "line 2: has a quote that is not closed"),
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
        #expect(
            message { try FileReplacement.write([1], to: "/dev/full") }
                == "/dev/full: cannot be written: No space left on device")
        #expect(message { try FileReplacement.write([1], to: directory.path) }.contains("cannot be written"))
        #expect(
            message { try FileReplacement.write([1], to: directory.path + "/none/x") }.contains("No such file or directory"))
    }

    @Test func `what fails halfway leaves the file as it was, and nothing beside it`() throws {
        let directory = try TemporaryDirectory()
        try directory.write("old", to: "file")
        let failed = message {
            try FileReplacement.write(to: directory.path + "/file") { (append) throws(InputError) in
                try append(Array("new".utf8))
                throw InputError("input", "is damaged")
            }
        }
        #expect(failed == "input: is damaged")
        #expect(try directory.read("file") == Array("old".utf8))
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["file"])
    }
}
