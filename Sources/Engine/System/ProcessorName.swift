import Foundation

/// What the CPU calls itself.
public enum ProcessorName {
    /// "model name" of /proc/cpuinfo; "unknown CPU" where there is none.
    public static let current: String = {
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
        return line?.split(separator: ":").dropFirst().first.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown CPU"
    }()
}
