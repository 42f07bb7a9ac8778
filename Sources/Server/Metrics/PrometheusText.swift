/// Prometheus' text format 0.0.4
/// (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).
struct PrometheusText {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private(set) var text = ""

    mutating func begin(_ name: String, kind: String, help: String?) {
        if let help { text += "# HELP \(name) \(Self.escaped(help, quotes: false))\n" }
        text += "# TYPE \(name) \(kind)\n"
    }

    /// - Parameter labels: as `labels` writes them.
    mutating func add(_ name: String, _ labels: String, _ value: Double) {
        text += labels.isEmpty ? "\(name) \(Self.number(value))\n" : "\(name){\(labels)} \(Self.number(value))\n"
    }

    /// `a="1",b="2"`, behind what is there already.
    static func labels(_ labels: [(String, String)], after first: String = "") -> String {
        let written = labels.map { "\($0)=\"\(escaped($1, quotes: true))\"" }
        return (first.isEmpty ? written : [first] + written).joined(separator: ",")
    }

    static func number(_ value: Double) -> String {
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        if value.isNaN { return "NaN" }
        // Whole numbers without ".0", which is how counts read best.
        return abs(value) < 1e15 && value == value.rounded() ? String(Int(value)) : "\(value)"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        // Scalar by scalar: a quote with an accent upon it, or "\r\n", is one Character, and no quote or newline as such.
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
