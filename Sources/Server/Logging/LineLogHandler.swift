import Engine
import Foundation
import Logging

/// One line an event, for people (`text`) or for machines (`json`), to a `LineWriter`.
package struct LineLogHandler: LogHandler {
    package enum Format: String, CaseIterable, Sendable { case text, json }

    package var logLevel = Logger.Level.info
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let format: Format
    private let writer: LineWriter

    package init(label: String, format: Format, level: Logger.Level, writer: LineWriter) {
        self.label = label
        self.format = format
        self.writer = writer
        logLevel = level
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var fields = event.metadata ?? [:]
        if !metadata.isEmpty { fields.merge(metadata) { own, _ in own } }
        if let more = metadataProvider?.get() { fields.merge(more) { own, _ in own } }
        if let error = event.error { fields["error"] = "\(error)" }
        writer.write(Self.line(format, label, event.level, event.message.description, fields))
    }

    /// A writer whose note of lost lines has the form of the others.
    package static func writer(format: Format, label: String) -> LineWriter {
        LineWriter { line(format, label, .warning, "log lines were lost", ["lines": .stringConvertible($0)]) }
    }

    private static func line(
        _ format: Format, _ label: String, _ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata
    ) -> [UInt8] {
        let fields = metadata.sorted { $0.key < $1.key }
        let time = timestamp(Date())
        switch format {
        case .json:
            let members: [JSONValue.Member] = [
                .init("time", .string(String(decoding: time, as: UTF8.self))), .init("level", .string(level.rawValue)),
                .init("logger", .string(label)), .init("message", .string(message)),
            ]
            return JSONValue.object(members + fields.map { .init($0.key, json($0.value)) }).serialized() + [0x0A]
        case .text:
            var line = time
            line.reserveCapacity(256)
            line.append(0x20)
            line += level.rawValue.utf8
            line.append(0x20)
            append(message, to: &line, quotes: false)
            for (key, value) in fields {
                line.append(0x20)
                line += key.utf8
                line.append(UInt8(ascii: "="))
                append(value.description, to: &line, quotes: true)
            }
            line.append(0x0A)
            return line
        }
    }

    /// Figures stay figures where they are `Double` or `Int`.
    private static func json(_ value: Logger.MetadataValue) -> JSONValue {
        switch value {
        case .string(let string): .string(string)
        case .stringConvertible(let value as Int): .integer(value)
        case .stringConvertible(let value as Double): .number(value)
        case .stringConvertible(let value): .string(value.description)
        case .array(let values): .array(values.map(json))
        case .dictionary(let values): .object(values.sorted { $0.key < $1.key }.map { .init($0.key, json($0.value)) })
        }
    }

    /// A value that could break the line, or pass for several, as a JSON string.
    private static func append(_ text: String, to line: inout [UInt8], quotes: Bool) {
        let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != 0x22 || $0 >= 0x20 && $0 != 0x7F && !quotes }
        if isPlain, !text.isEmpty { line += text.utf8 } else { line += JSONValue.string(text).serialized() }
    }

    /// RFC 3339 in UTC with milliseconds. Foundation's formatters take several microseconds.
    static func timestamp(_ date: Date) -> [UInt8] {
        let milliseconds = Int((date.timeIntervalSince1970 * 1000).rounded(.down))
        var seconds = time_t(milliseconds / 1000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        var text = Array("0000-00-00T00:00:00.000Z".utf8)
        let fields = [
            (3, Int(parts.tm_year) + 1900), (6, Int(parts.tm_mon) + 1), (9, Int(parts.tm_mday)), (12, Int(parts.tm_hour)),
            (15, Int(parts.tm_min)), (18, Int(parts.tm_sec)), (22, milliseconds % 1000),
        ]
        for (last, value) in fields {
            var (place, rest) = (last, value)
            while rest > 0 {
                text[place] += UInt8(rest % 10)
                (place, rest) = (place - 1, rest / 10)
            }
        }
        return text
    }
}
