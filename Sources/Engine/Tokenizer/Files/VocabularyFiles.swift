import Foundation

/// The vocabularies' own formats.
enum VocabularyFiles {
    typealias Entry = (token: [UInt8], id: Int)
    typealias Merge = (left: [UInt8], right: [UInt8])

    /// `{"token": id, …}`
    static func entries(_ reader: inout JSONReader) throws(JSONError) -> [Entry] {
        var entries: [Entry] = []
        try reader.object { (reader, token) throws(JSONError) in
            let position = reader.position
            guard let id = try reader.value().integer, 0...Int(Int32.max) ~= id else {
                throw JSONError(offset: position, problem: "an id that is not a whole number")
            }
            entries.append((token, id))
        }
        return entries
    }

    /// vocab.json
    static func entries(_ path: String) throws(InputError) -> [Entry] {
        let bytes = try JSONFile.bytes(path)
        var reader = JSONReader(bytes)
        do {
            let entries = try entries(&reader)
            try reader.end()
            return entries
        } catch {
            throw InputError(
                (path as NSString).lastPathComponent, "is not a JSON object of tokens and ids: \(error)")
        }
    }

    /// `[["token", score], …]`; a problem says what is wrong with a piece.
    static func pieces(_ reader: inout JSONReader) throws(JSONError) -> UnigramPieces {
        var pieces = UnigramPieces()
        try reader.array { (reader) throws(JSONError) in
            let position = reader.position
            var token: [UInt8]?
            var score: Double?
            var count = 0
            try reader.array { (reader) throws(JSONError) in
                if count == 0 { token = try reader.string() } else { score = try reader.double() }
                count += 1
            }
            guard let token, let score, count == 2 else {
                throw JSONError(offset: position, problem: "a piece that is not a token and a score")
            }
            if let problem = pieces.append(token, score) { throw JSONError(offset: position, problem: problem) }
        }
        return pieces
    }

    /// One token a line, without white space behind it; a line's number is its id.
    static func lines(_ path: String) throws(InputError) -> [Entry] {
        let bytes = try JSONFile.bytes(path)
        guard bytes.isValidUTF8 else { throw InputError((path as NSString).lastPathComponent, "is not valid UTF-8") }
        return split(bytes).enumerated().map { index, line in
            var end = line.count
            line.withUnsafeBufferPointer { line in
                let walk = ScalarWalk(bytes: line)
                while let scalar = walk.scalar(before: end), UnicodeClass.isWhitespace(scalar) {
                    end -= Unicode.Scalar(scalar).map { UTF8.width($0) } ?? 1
                }
            }
            return (Array(line[..<end]), index)
        }
    }

    /// `left right` a line, the strongest first, after a line `#version: …`; with each merge's line number.
    static func merges(_ path: String) throws(InputError) -> (merges: [Merge], lines: [Int]) {
        let name = (path as NSString).lastPathComponent
        var merges: [Merge] = []
        var lines: [Int] = []
        for (index, line) in split(try JSONFile.bytes(path)).enumerated() {
            if line.starts(with: "#version".utf8) || line.isEmpty { continue }
            guard let merge = merge(line) else {
                throw InputError(
                    name,
                    "line \(index + 1) is \"\(line.text)\"; a merge is two tokens with one space between them")
            }
            merges.append(merge)
            lines.append(index + 1)
        }
        return (merges, lines)
    }

    static func merge(_ line: [UInt8]) -> Merge? {
        let parts = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        return (Array(parts[0]), Array(parts[1]))
    }

    /// Lines without their \n or \r\n; no empty one after the last.
    static func split(_ bytes: [UInt8]) -> [[UInt8]] {
        var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
            .map { Array($0.last == 0x0D ? $0.dropLast() : $0) }
        if lines.last?.isEmpty == true { lines.removeLast() }
        return lines
    }
}
