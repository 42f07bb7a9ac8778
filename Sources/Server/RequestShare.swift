import Engine

/// A share of the requests, from 0 to 1.
public enum RequestShare {
    /// `5%` or `0.05`; nil for what is no share.
    public static func parse(_ text: String) -> Double? {
        let share = text.hasSuffix("%") ? Double(text.dropLast()).map { $0 / 100 } : Double(text)
        return share.flatMap { 0...1 ~= $0 ? $0 : nil }
    }

    /// Whether `key` is among the share that `purpose` takes: always or never, and at each larger share as well. What one
    /// purpose takes says nothing of another's.
    package static func takes(_ key: String, _ share: Double, for purpose: String) -> Bool {
        if share >= 1 { return true }
        if share <= 0 { return false }
        let (high, _) = Array("\(purpose) \(key)".utf8).withUnsafeBytes { $0.startOfSHA256() }
        return Double(high >> 11) < share * 0x1p53
    }
}
