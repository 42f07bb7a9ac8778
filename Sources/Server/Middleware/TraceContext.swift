import Logging

/// A request's place in a trace (W3C Trace Context): its `traceparent`, and a span of its own below the caller's.
///
/// Apus exports no spans: the log line has what makes one. So it begins no traces either; a request that comes without one is
/// found by its `X-Request-Id`.
package struct TraceContext: Sendable {
    private let traceID: String
    private let parentSpanID: String
    private let spanID: String
    private let flags: UInt8

    /// nil where it is none: version, trace id, span id and flags in lowercase hexadecimal, version ff and ids of zeros being
    /// invalid. What a later version has after these fields is ignored, as the specification asks.
    package init?(_ traceparent: String?) {
        guard let traceparent, traceparent.utf8.count >= 55 else { return nil }
        let fields = traceparent.utf8.prefix(55).split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard fields.map(\.count) == [2, 32, 16, 2], fields.allSatisfy({ $0.allSatisfy(Self.isHexadecimal) }),
            fields[1...2].allSatisfy({ !$0.allSatisfy { $0 == UInt8(ascii: "0") } }),
            let version = UInt8(Substring(fields[0]), radix: 16), version != 0xFF,
            let flags = UInt8(Substring(fields[3]), radix: 16)
        else { return nil }
        let rest = traceparent.utf8.dropFirst(55)
        guard rest.isEmpty || version > 0 && rest.first == UInt8(ascii: "-") else { return nil }
        traceID = String(Substring(fields[1]))
        parentSpanID = String(Substring(fields[2]))
        let span = String(UInt64.random(in: 1...UInt64.max), radix: 16)
        spanID = String(repeating: "0", count: 16 - span.count) + span
        // Those that are defined: sampled, and a random trace id.
        self.flags = flags & 0b11
    }

    /// The `traceparent` of whatever belongs to this request.
    package var header: String { "00-\(traceID)-\(spanID)-0\(flags)" }

    var metadata: Logger.Metadata {
        ["trace_id": .string(traceID), "span_id": .string(spanID), "parent_span_id": .string(parentSpanID)]
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || UInt8(ascii: "a")...UInt8(ascii: "f") ~= byte
    }
}
