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
    private let title: String
    private let isVisible = isatty(STDERR_FILENO) == 1
    private let start = ContinuousClock.now
    private var lastShown: ContinuousClock.Instant?

    init(title: String) { self.title = title }

    mutating func show(_ done: Int, of total: Int) {
        let now = ContinuousClock.now
        guard isVisible, total > 0, done == total || lastShown.map({ now - $0 > .milliseconds(100) }) ?? true else { return }
        lastShown = now
        let share = Double(done) / Double(total)
        let filled = Int(30 * share)
        let elapsed = (now - start) / .seconds(1)
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 30 - filled)
        let left = share > 0 ? elapsed / share - elapsed : 0
        StandardError.write("\r\(title) [\(bar)] " + String(format: "%.1f %%, %.0f s left ", 100 * share, left))
    }

    mutating func clear() {
        if lastShown != nil { StandardError.write("\r\u{1B}[K") }
        lastShown = nil
    }
}
