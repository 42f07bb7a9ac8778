import Engine
import Foundation
import Logging
import Synchronization

/// Keeps texts for the next training: those of a share of the requests, with what the models said of them and what somebody
/// says of that later. Only of models that give one label of several, as with feedback.
package final class TrainingRecords: Sendable {
    private struct State {
        /// What is to be written.
        var lines: [RecordLine] = []
        /// The memory of those, and of those being written.
        var bytes = 0
        var written = 0
        var dropped = 0
    }

    private struct Output {
        let files: RecordFiles
        /// How many were dropped before it was last written.
        var dropped = 0
        var isFailing = false
        var keepsOldFiles = false
    }

    /// What is beyond it is dropped: where the disk is slow, no answer waits for it.
    private static let bufferBytes = 16 << 20

    private let options: RecordOptions
    private let metrics: ServerMetrics
    private let logger: Logger
    private let now: @Sendable () -> Date
    private let state = Mutex(State())
    private let output: Mutex<Output>

    /// Throws `InputError` where the directory cannot be used.
    package init(
        _ options: RecordOptions, metrics: ServerMetrics, logger: Logger,
        now: @escaping @Sendable () -> Date = { Date() }
    ) throws(InputError) {
        self.options = options
        self.metrics = metrics
        self.logger = logger
        self.now = now
        let files = try RecordFiles(
            directory: options.directory, fileBytes: options.fileBytes,
            timeToLive: Int(options.timeToLive / .milliseconds(1)))
        output = Mutex(Output(files: files))
        logger.notice(
            "texts of requests are kept for training",
            metadata: [
                "directory": .string(options.directory), "share": .stringConvertible(options.share),
                "ttl_seconds": .stringConvertible(options.timeToLive / .seconds(1)),
            ])
        Thread.eachSecond(self) { $0.flush() }
    }

    /// All texts of a request are in or out together, and feedback follows its answer.
    private func isKept(_ id: String) -> Bool { RequestShare.takes(id, options.share, for: "record") }

    /// Keeps the texts of a request that was answered, or not, by the hash of its id.
    package func record(
        _ texts: [String], pairs: [String?], _ predictions: [Prediction], of id: String, model identity: String
    ) {
        guard predictions.first?.kind == .oneLabel, isKept(id) else { return }
        let time = timestamp
        append(
            predictions.enumerated().map { index, prediction in
                .answer(
                    .init(
                        id: id, index: texts.count > 1 ? index : nil, time: time, model: identity, text: texts[index],
                        pair: pairs.isEmpty ? nil : pairs[index],
                        scores: prediction.scores.map { .init($0.label, .float($0.value)) }))
            })
    }

    /// Keeps what somebody said of an answer, where that was kept.
    func record(_ judgement: Feedback.Judgement) {
        guard isKept(judgement.identifier) else { return }
        append([
            .feedback(id: judgement.identifier, index: judgement.index, label: judgement.label, time: timestamp)
        ])
    }

    private var timestamp: String { String(decoding: LineLogHandler.timestamp(now()), as: UTF8.self) }

    private func append(_ lines: [RecordLine]) {
        let bytes = lines.reduce(0) { $0 + $1.memory }
        let fits = state.withLock { state in
            guard state.bytes + bytes <= Self.bufferBytes else {
                state.dropped += lines.count
                return false
            }
            state.lines += lines
            state.bytes += bytes
            return true
        }
        if !fits { metrics.records(dropped: lines.count) }
    }

    /// Writes what waits, and deletes what is too old: once a second, and at the end. What cannot be written is dropped.
    package func flush() {
        output.withLock { output in
            let time = Int(now().timeIntervalSince1970 * 1000)
            let directory = options.directory
            let isRemoved = output.files.removeOld(at: time)
            if !isRemoved, !output.keepsOldFiles {
                let reason = String(cString: strerror(errno))
                logger.error("\(directory): a record file that is older than --record-ttl cannot be deleted: \(reason)")
            }
            output.keepsOldFiles = !isRemoved
            let (lines, bytes) = state.withLock { state in
                defer { state.lines = [] }
                return (state.lines, state.bytes)
            }
            guard !lines.isEmpty else { return }
            let written = output.files.append(lines.map(\.bytes), at: time)
            let reason =
                written < lines.count ? String(cString: strerror(errno)) : "the disk is slower than texts come"
            metrics.records(written: written, dropped: lines.count - written)
            let dropped = state.withLock { state in
                state.bytes -= bytes
                state.written += written
                state.dropped += lines.count - written
                return state.dropped
            }
            let isFailing = dropped > output.dropped
            if isFailing, !output.isFailing {
                logger.error(
                    "\(directory): records cannot be written: \(reason). Serving goes on; they are dropped and counted")
            } else if !isFailing, output.isFailing {
                logger.notice("\(directory): records are written again; \(dropped) were dropped since the start")
            }
            (output.dropped, output.isFailing) = (dropped, isFailing)
        }
    }

    var json: JSONValue {
        let (written, dropped) = state.withLock { ($0.written, $0.dropped) }
        return [
            "directory": .string(options.directory), "share": .number(options.share),
            "ttl_seconds": .number(options.timeToLive / .seconds(1)), "written": .integer(written),
            "dropped": .integer(dropped),
        ]
    }
}
