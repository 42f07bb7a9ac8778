/// Where a request's milliseconds went.
struct ServerTiming: Sendable {
    var tokenize = Duration.zero
    var queue = Duration.zero
    var infer = Duration.zero

    /// The `Server-Timing` header: milliseconds with three decimals.
    var header: String {
        "tokenize;dur=\(Self.decimals(tokenize)), queue;dur=\(Self.decimals(queue)), infer;dur=\(Self.decimals(infer))"
    }

    static func decimals(_ duration: Duration) -> String {
        let thousandths = Int((duration / .microseconds(1)).rounded())
        let fraction = String(thousandths % 1000)
        return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
    }
}
