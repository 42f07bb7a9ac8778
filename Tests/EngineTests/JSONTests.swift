import Engine
import Testing

@Suite struct JSONTests {
    private func parse(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

    @Test func `values of every kind are read`() throws {
        let value = try parse(#" {"a": [1, -2.5e3, true, false, null, "x\n\u00e9\ud83d\ude00/\/"], "": {}, "b": []} "#)
        #expect(
            value == [
                "a": [1, .number(-2500), true, false, nil, "x\né😀//"], "": .object([]), "b": [],
            ])
    }

    @Test func `a lone surrogate reads as U+FFFD and takes nothing with it`() throws {
        #expect(try parse(#""a\ud83d""#) == "a\u{FFFD}")
        #expect(try parse(#""\ude00b""#) == "\u{FFFD}b")
        #expect(try parse(#""\ud83d\u0041""#) == "\u{FFFD}A")
        #expect(try parse(#""\ude00\ud83d""#) == "\u{FFFD}\u{FFFD}")
        #expect(try parse(#""\ud83d\ud83d\ude00""#) == "\u{FFFD}😀")
    }

    @Test func `keys that are canonically equivalent stay apart`() throws {
        let value = try parse("{\"\u{e9}\": 1, \"e\u{301}\": 2}")
        #expect(value.object?.count == 2)
        #expect(value["\u{e9}"] == 1)
        #expect(value["e\u{301}"] == 2)
    }

    @Test(arguments: [
        "", " ", "{", "[1,", "[1,]", "{\"a\"}", "{\"a\":}", "{,}", "nul", "truee", "01", "1.", ".5", "-", "+1", "1e",
        "1e999",
        "\"", "\"\u{1}\"", "\"\\x\"", "\"\\u12g4\"", "\"\\u12", "[1] 2", "NaN", "'a'", "{\"a\":1,}", "[1 2]", "\u{FEFF}1",
    ])
    func `malformed text is refused with the place`(_ text: String) {
        #expect(throws: JSONError.self) { try parse(text) }
    }

    @Test func `invalid UTF-8 in a string is refused`() {
        for bytes: [UInt8] in [[0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xC0, 0x80], [0xF5, 0x80, 0x80, 0x80]] {
            #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22] + bytes + [0x22]) }
        }
    }

    @Test func `nesting has a limit, so that no document exhausts the stack`() throws {
        func nested(_ depth: Int) -> [UInt8] {
            [UInt8](repeating: 0x5B, count: depth) + [UInt8](repeating: 0x5D, count: depth)
        }
        _ = try JSONValue(parsing: nested(128))
        let error = #expect(throws: JSONError.self) { try JSONValue(parsing: nested(1_000_000)) }
        #expect(error?.description == "nested deeper than 128 levels at byte 129")
    }

    @Test func `what is written reads back the same`() throws {
        let value: JSONValue = [
            "text": "\"\\\n\r\t\u{1}é😀\u{2028}", "n": .integer(.min), "d": .number(0.1), "a": [[1, 2], [3]], "e": [:],
            "t": true,
            "z": nil,
        ]
        for isPretty in [false, true] { #expect(try JSONValue(parsing: value.serialized(pretty: isPretty)) == value) }
    }

    @Test func `the line ends of Unicode are escaped, in strings, names and JSON as it stood, and nothing else is`() throws {
        let ends = "a\u{85}b\u{2028}c\u{2029}"
        let escaped = #"a\u0085b\u2028c\u2029"#
        let value: JSONValue = .object([.init(ends, .string(ends)), .init("r", .raw(Array("[\"\(ends)\",\n1]".utf8)))])
        let written = String(decoding: value.serialized(), as: UTF8.self)
        #expect(written == #"{"\#(escaped)":"\#(escaped)","r":["\#(escaped)", 1]}"#)
        #expect(try JSONValue(parsing: value.serialized())[ends]?.string == ends)
        // The same last bytes in other characters.
        let others = "Å\u{A8}\u{205}\u{20A8}\u{2068}\u{3028}😨😩…"
        #expect(String(decoding: JSONValue.string(others).serialized(), as: UTF8.self) == "\"\(others)\"")
    }

    @Test func `a Float is written in the fewest digits that read back the same`() {
        #expect(String(decoding: JSONValue.float(0.1).serialized(), as: UTF8.self) == "0.1")
        #expect(String(decoding: JSONValue.float(1e-7).serialized(), as: UTF8.self) == "1e-07")
        #expect(String(decoding: JSONValue.float(.nan).serialized(), as: UTF8.self) == "null")
    }

    @Test func `integers beyond 64 bits read as numbers`() throws {
        #expect(try parse("9223372036854775807") == .integer(.max))
        #expect(try parse("9223372036854775808") == .number(9_223_372_036_854_775_808))
        #expect(try parse("3.0").integer == 3)
        #expect(try parse("3.5").integer == nil)
    }
}
