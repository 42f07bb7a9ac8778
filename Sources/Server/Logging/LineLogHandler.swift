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
        var metadata = metadata
        if let more = metadataProvider?.get() { metadata.merge(more) { $1 } }
        if let more = event.metadata { metadata.merge(more) { $1 } }
        if let error = event.error { metadata["error"] = "\(error)" }
        writer.write(Self.line(format, label, event.level, event.message.description, metadata))
    }

    /// A writer whose note of lost lines has the form of the others.
    package static func writer(format: Format, label: String) -> LineWriter {
        LineWriter { line(format, label, .warning, "log lines were lost", ["lines": .stringConvertible($0)]) }
    }

    private static func line(
        _ format: Format, _ label: String, _ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata
    ) -> [UInt8] {
        let time = timestamp(Date())
        let fields = metadata.sorted { $0.key < $1.key }
        switch format {
        case .json:
            let members: [JSONValue.Member] = [
                .init("time", .string(time)), .init("level", .string(level.rawValue)), .init("logger", .string(label)),
                .init("message", .string(message)),
            ]
            return JSONValue.object(members + fields.map { .init($0.key, json($0.value)) }).serialized() + [0x0A]
        case .text:
            var line = "\(time) \(level) \(printable(message, quotes: false))"
            for (key, value) in fields { line += " \(key)=\(printable(value.description, quotes: true))" }
            return Array((line + "\n").utf8)
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
    private static func printable(_ text: String, quotes: Bool) -> String {
        let isPlain = text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F && !(quotes && ($0 == 0x20 || $0 == 0x22)) }
        return isPlain && !text.isEmpty ? text : String(decoding: JSONValue.string(text).serialized(), as: UTF8.self)
    }

    /// RFC 3339 in UTC with milliseconds. Foundation's formatters take several microseconds.
    static func timestamp(_ date: Date) -> String {
        let milliseconds = Int((date.timeIntervalSince1970 * 1000).rounded(.down))
        var seconds = time_t(milliseconds / 1000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func digits(_ value: Int, _ count: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        let day = "\(digits(Int(parts.tm_year) + 1900, 4))-\(digits(Int(parts.tm_mon) + 1, 2))-\(digits(Int(parts.tm_mday), 2))"
        let time = "\(digits(Int(parts.tm_hour), 2)):\(digits(Int(parts.tm_min), 2)):\(digits(Int(parts.tm_sec), 2))"
        return "\(day)T\(time).\(digits(milliseconds % 1000, 3))Z"
    }
}
