import Engine
import Foundation

enum StandardOutput {
    /// Results; a disk that is full is an error, not a shorter file.
    static func write(_ bytes: [UInt8]) throws(InputError) {
        guard FileReplacement.writeAll(bytes, to: STDOUT_FILENO) else {
            throw InputError("standard output", "cannot be written: \(String(cString: strerror(errno)))")
        }
    }
}

enum StandardError {
    /// Messages; where nobody listens, they are lost without harm.
    static func write(_ text: String) { _ = FileReplacement.writeAll(Array(text.utf8), to: STDERR_FILENO) }
}

/// How far long work has come, on standard error where that is a terminal; elsewhere nothing.
struct ProgressBar {
    enum Unit { case items, bytes }

    private let title: String
    private let unit: Unit
    private let isVisible: Bool
    private let start = ContinuousClock.now
    private var lastShown: ContinuousClock.Instant?

    init(title: String, unit: Unit = .items) {
        self.title = title
        self.unit = unit
        let unwanted = ProcessInfo.processInfo.environment["HF_HUB_DISABLE_PROGRESS_BARS"]?.uppercased() ?? ""
        isVisible = isatty(STDERR_FILENO) == 1 && !(unit == .bytes && ["1", "ON", "YES", "TRUE"].contains(unwanted))
    }

    /// - Parameter before: what was done when this began, which says nothing of the speed.
    mutating func show(_ done: Int, of total: Int, before: Int = 0) {
        let now = ContinuousClock.now
        guard isVisible, total > 0, done == total || lastShown.map({ now - $0 > .milliseconds(100) }) ?? true else { return }
        lastShown = now
        let share = Double(done) / Double(total)
        let filled = Int(30 * min(share, 1))
        let rate = Double(max(0, done - before)) / max((now - start) / .seconds(1), 1e-3)
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 30 - filled)
        var text = "\r\(title) [\(bar)] " + String(format: "%.1f %%", 100 * share)
        if unit == .bytes { text += String(format: " of %.1f MB, %.1f MB/s", Double(total) / 1e6, rate / 1e6) }
        if rate > 0 { text += String(format: ", %.0f s left ", Double(total - done) / rate) }
        StandardError.write(text + "\u{1B}[K")
    }

    mutating func clear() {
        if lastShown != nil { StandardError.write("\r\u{1B}[K") }
        lastShown = nil
    }
}
