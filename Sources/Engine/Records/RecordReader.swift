import Foundation

/// How records are written in a file.
public enum RecordFormat: String, Sendable, CaseIterable {
    /// A text a line.
    case text
    /// A JSON object a line.
    case jsonl
    /// An array of JSON objects; or one a line, as many files of this name have it.
    case json
    /// RFC 4180, with a header.
    case csv
    /// The same with tabs.
    case tsv

    /// By a file's name, whatever the case of its suffix; a name without one is of texts.
    public init(ofFile path: String) throws(InputError) {
        let suffix = (path as NSString).pathExtension.lowercased()
        switch suffix {
        case "", "txt", "text": self = .text
        case "jsonl", "ndjson": self = .jsonl
        default:
            guard let format = RecordFormat(rawValue: suffix) else {
                let known = Self.allCases.map(\.rawValue).joined(separator: ", ")
                throw InputError(
                    path,
                    "the suffix .\(suffix) does not say how the records are written; give --input-format, one of \(known)")
            }
            self = format
        }
    }
}

/// A text and what stood beside it.
public struct Record: Sendable, Equatable {
    public let text: String
    /// A second text that belongs to it; nil where there is none.
    public let pair: String?
    /// The record's other fields: JSON as it stood, or a row's cells as strings.
    public let fields: [JSONValue.Member]
    /// Where it begins, from 1.
    public let line: Int

    public init(text: String, pair: String? = nil, fields: [JSONValue.Member] = [], line: Int) {
        self.text = text
        self.pair = pair
        self.fields = fields
        self.line = line
    }
}

/// Reads records one by one from a file or standard input; throws `InputError` with the line.
public struct RecordReader: ~Copyable {
    private var source: ByteSource
    private let format: RecordFormat
    private let textField: String
    private let pairField: String
    private var line = 0
    private var header: [String]?
    /// Of a JSON array, the last one first.
    private var elements: [(bytes: [UInt8], line: Int)]?

    /// A longer line is refused.
    private static let maximumLine = 16 << 20
    /// A longer JSON array, which is read whole.
    private static let maximumArray = 1 << 30

    /// - Parameters:
    ///   - path: a file, or `-` for standard input.
    ///   - textField: the field of a JSON object or the column that holds the text.
    ///   - pairField: the one with a second text, where there is one.
    public init(
        path: String, format: RecordFormat, textField: String = "text", pairField: String = "text_pair"
    ) throws(InputError) {
        source = try ByteSource(path: path)
        self.format = format
        self.textField = textField
        self.pairField = pairField
    }

    /// Whether the next record can be had without waiting for more input.
    public var hasBuffered: Bool { source.hasBufferedLine }

    /// How much was read, in bytes, and of how much; nil where that cannot be known.
    public var bytesRead: Int { source.bytesRead }
    public var size: Int? { source.size }

    /// The names of a CSV or TSV file's columns, once a record was read.
    public var columns: [String]? { header }

    public mutating func next() throws(InputError) -> Record? {
        let record =
            switch format {
            case .text: try nextText()
            case .jsonl: try nextObject()
            case .json: try nextElement()
            case .csv, .tsv: try nextRow()
            }
        if let record, record.text.isEmpty || record.pair?.isEmpty == true {
            throw InputError(
                "\(source.name), line \(record.line)", "the text is empty; give one or more characters, or take the line out"
            )
        }
        return record
    }

    private mutating func nextText() throws(InputError) -> Record? {
        guard let bytes = try nextLine() else { return nil }
        return Record(text: try string(bytes, line), fields: [], line: line)
    }

    /// Blank lines are passed over.
    private mutating func nextObject() throws(InputError) -> Record? {
        while let bytes = try nextLine() {
            if !bytes.allSatisfy(Self.isBlank) { return try record(bytes, line: line) }
        }
        return nil
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || 0x09...0x0D ~= byte }

    private mutating func nextElement() throws(InputError) -> Record? {
        if line == 0, elements == nil {
            while let byte = try source.peekByte(), Self.isBlank(byte) {
                if byte == 0x0A { line += 1 }
                _ = try source.nextByte()
            }
            if try source.peekByte() == UInt8(ascii: "[") { elements = try readArray() }
        }
        guard elements != nil else { return try nextObject() }
        guard let (bytes, line) = elements?.popLast() else { return nil }
        return try record(bytes, line: line)
    }

    private mutating func readArray() throws(InputError) -> [(bytes: [UInt8], line: Int)] {
        let bytes = try source.rest(limit: Self.maximumArray)
        var elements: [(bytes: [UInt8], line: Int)] = []
        var (counted, line) = (0, self.line + 1)
        do {
            var reader = JSONReader(bytes)
            try reader.array { (reader) throws(JSONError) in
                let element = try reader.rawValue()
                let start = reader.position - element.count
                line += bytes[counted..<start].count { $0 == 0x0A }
                counted = start
                elements.append((element, line))
            }
            try reader.end()
        } catch {
            throw InputError(source.name, "is not a JSON array of objects: \(error)")
        }
        return elements.reversed()
    }

    private func record(_ bytes: [UInt8], line: Int) throws(InputError) -> Record {
        var text: String?
        var pair: String?
        var fields: [JSONValue.Member] = []
        let place = "\(source.name), line \(line)"
        do {
            var reader = JSONReader(bytes)
            try reader.object { (reader, name) throws(JSONError) in
                let name = String(decoding: name, as: UTF8.self)
                if name == textField || name == pairField {
                    let position = reader.position
                    let value = try reader.value()
                    if value.isNull, name == pairField { return }
                    guard let value = value.string else {
                        throw JSONError(offset: position, problem: "field \"\(name)\" is not a string")
                    }
                    if name == textField { text = value } else { pair = value }
                } else {
                    fields.append(.init(name, .raw(try reader.rawValue())))
                }
            }
            try reader.end()
        } catch {
            throw InputError(place, "is not a JSON object with a text: \(error)")
        }
        guard let text else { throw InputError(place, "has no field \"\(textField)\"; name the right one by --text-field") }
        return Record(text: text, pair: pair, fields: fields, line: line)
    }

    private mutating func nextRow() throws(InputError) -> Record? {
        if header == nil {
            guard let names = try nextCells()?.cells else {
                throw InputError(source.name, "is empty; a \(format.rawValue.uppercased()) file begins with a header")
            }
            header = names
        }
        let names = header ?? []
        guard let column = names.firstIndex(of: textField) else {
            throw InputError(
                source.name,
                "has no column \"\(textField)\"; its columns are \(names.joined(separator: ", ")). "
                    + "Name the right one by --text-field")
        }
        guard let (cells, start) = try nextCells() else { return nil }
        guard cells.count == names.count else {
            throw InputError("\(source.name), line \(start)", "has \(cells.count) cells; the header has \(names.count)")
        }
        let pairColumn = names.firstIndex(of: pairField)
        let others = names.indices.filter { $0 != column && $0 != pairColumn }
        return Record(
            text: cells[column], pair: pairColumn.map { cells[$0] },
            fields: others.map { .init(names[$0], .string(cells[$0])) }, line: start)
    }

    /// A row's cells and the line it begins at; quotes may hold separators, new lines and doubled quotes. Blank lines are
    /// passed over.
    private mutating func nextCells() throws(InputError) -> (cells: [String], line: Int)? {
        line += 1
        var start = line
        var cells: [String] = []
        var cell: [UInt8] = []
        var isQuoted = false
        var wasQuoted = false
        var size = 0
        let separator = format == .tsv ? 0x09 : UInt8(ascii: ",")
        while true {
            guard let byte = try source.nextByte() else {
                if isQuoted { throw InputError("\(source.name), line \(start)", "has a quote that is not closed") }
                if cells.isEmpty, cell.isEmpty, !wasQuoted { return nil }
                return (cells + [try string(cell, start)], start)
            }
            size += 1
            guard size <= Self.maximumLine else {
                throw InputError(
                    "\(source.name), line \(start)", "is longer than \(Self.maximumLine) bytes; is a quote not closed?")
            }
            switch byte {
            case UInt8(ascii: "\"") where isQuoted:
                if try source.peekByte() == byte {
                    cell.append(byte)
                    _ = try source.nextByte()
                } else {
                    isQuoted = false
                }
            case _ where isQuoted:
                if byte == 0x0A { line += 1 }
                cell.append(byte)
            case UInt8(ascii: "\"") where cell.isEmpty && !wasQuoted:
                isQuoted = true
                wasQuoted = true
            case separator:
                cells.append(try string(cell, start))
                cell = []
                wasQuoted = false
            case 0x0A:
                if cells.isEmpty, cell.isEmpty, !wasQuoted {
                    line += 1
                    start = line
                    continue
                }
                return (cells + [try string(cell, start)], start)
            case 0x0D where try source.peekByte() == 0x0A: continue
            default: cell.append(byte)
            }
        }
    }

    private mutating func nextLine() throws(InputError) -> [UInt8]? {
        line += 1
        return try source.nextLine(limit: Self.maximumLine, line: line)
    }

    private func string(_ bytes: [UInt8], _ line: Int) throws(InputError) -> String {
        guard bytes.isValidUTF8 else {
            throw InputError("\(source.name), line \(line)", "is not valid UTF-8; convert the file, for example with iconv")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
