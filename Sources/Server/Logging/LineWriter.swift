import Engine
import Foundation

/// Writes lines to a file descriptor from a thread of its own, so that nobody who logs ever waits for a disk, a pipe or a
/// terminal. What cannot be written is lost: a full disk, or a reader that stands still while `capacity` bytes pile up.
/// How many lines that were is said with the next one for which there is room.
package final class LineWriter: Sendable {
    private let state = State()
    private let capacity: Int
    /// How long lines are gathered before they are written: under load, one write and one waking for many of them.
    private static let gatherTime = 0.005
    package typealias LossNote = @Sendable (_ lines: Int) -> [UInt8]

    private final class State: @unchecked Sendable {
        let condition = NSCondition()
        var pending: [UInt8] = []
        var lost = 0
        /// The writer gathers lines or writes them.
        var isAwake = false
        var isFlushing = false
        var isEnded = false
    }

    /// - Parameter lossNote: the line that says how many were lost.
    package init(descriptor: Int32 = STDERR_FILENO, capacity: Int = 4 << 20, lossNote: @escaping LossNote) {
        self.capacity = capacity
        let state = state
        Thread.detachNewThread { Self.loop(state, descriptor, lossNote) }
    }

    deinit {
        state.condition.withLock {
            state.isEnded = true
            state.condition.broadcast()
        }
    }

    /// - Parameter line: with its newline.
    package func write(_ line: [UInt8]) {
        state.condition.withLock {
            guard state.pending.count + line.count <= capacity else {
                state.lost += 1
                return
            }
            state.pending += line
            // The writer looks again by itself after each write.
            if !state.isAwake { state.condition.broadcast() }
        }
    }

    /// Waits until all is written, `limit` at most.
    package func flush(within limit: TimeInterval = 1) {
        let deadline = Date(timeIntervalSinceNow: limit)
        state.condition.withLock {
            state.isFlushing = true
            state.condition.broadcast()
            while state.isAwake || !state.pending.isEmpty, state.condition.wait(until: deadline) {}
            state.isFlushing = false
        }
    }

    private static func loop(_ state: State, _ descriptor: Int32, _ lossNote: LossNote) {
        // What was written last ended within a line.
        var isTorn = false
        state.condition.lock()
        while true {
            while state.pending.isEmpty, !state.isEnded { state.condition.wait() }
            if state.pending.isEmpty { break }
            state.isAwake = true
            let until = Date(timeIntervalSinceNow: gatherTime)
            while !state.isFlushing, !state.isEnded, state.condition.wait(until: until) {}
            let (lines, lost) = (state.pending, state.lost)
            (state.pending, state.lost) = ([], 0)
            state.condition.unlock()
            let start: [UInt8] = isTorn ? [0x0A] : []
            let bytes = start + lines + (lost > 0 ? lossNote(lost) : [])
            let written = FileReplacement.write(bytes, to: descriptor)
            if written > 0 { isTorn = bytes[written - 1] != 0x0A }
            state.condition.lock()
            if written < bytes.count {
                // The line that was torn counts as lost; the note, and the line end before it all, are no lines of anybody's.
                let unwritten = bytes[max(written, start.count)...].count { $0 == 0x0A }
                state.lost += lost + unwritten - (lost > 0 ? 1 : 0)
            }
            state.isAwake = false
            state.condition.broadcast()
        }
        state.condition.unlock()
    }
}
