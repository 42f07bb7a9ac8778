import Engine
import Foundation

/// Makes a data set of a record directory, a JSON object a line: each text once, with the label that feedback gave it, else
/// the model's own. Texts stay in the files; of each, about 150 bytes are held.
package struct RecordExport {
    /// Records before it are left out; nil for none.
    package var since: Date?
    /// Where the model was less sure, its own label is left out.
    package var minimumConfidence = 0.9
    /// Leaves out what there was no feedback to.
    package var isLabelledOnly = false

    private let directory: String
    /// Those that there were at the beginning.
    private let files: [String]
    /// What they have together, in bytes.
    private let size: Int

    /// Longer lines are damaged: a text has 100,000 characters.
    private static let maximumLine = 16 << 20

    /// Throws `InputError` where the directory has no record files.
    package init(directory: String) throws(InputError) {
        self.directory = directory
        var files: [String] = []
        var size = 0
        for (path, _) in RecordFiles.files(directory) {
            var status = stat()
            guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            files.append(path)
            size += Int(status.st_size)
        }
        guard !files.isEmpty else {
            throw InputError(
                directory, "has no records (records-….jsonl); give a directory that apus serve --record writes to")
        }
        self.files = files
        self.size = size
    }

    /// What became of the records.
    private struct Summary {
        var written = 0
        var fromFeedback = 0
        /// Left out.
        var old = 0
        var unsure = 0
        var repeated = 0
        var blank = 0
        /// Feedback to a text that is in no record.
        var unmatched = 0
        var damaged = 0
        /// The first line that was none.
        var firstDamaged: String?

        /// What was left out and why, in words; empty where nothing was.
        func omissions(_ export: RecordExport) -> String {
            let unsureWhy =
                export.isLabelledOnly ? "without feedback" : "less sure than \(export.minimumConfidence) (--min-confidence)"
            let counts = [
                (old, "before --since"), (unsure, unsureWhy), (repeated, "the same text again"), (blank, "blank"),
                (unmatched, "feedback without its text"), (damaged, "damaged, the first at \(firstDamaged ?? "")"),
            ]
            return counts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
        }
    }

    /// A text's record, and what is to be known of it to choose.
    private struct Entry {
        /// The hash of the text, and of its pair.
        let text: AnswerRing.Key
        let place: Place
        /// Late enough, and not blank.
        let isUsable: Bool
        let isSure: Bool
        /// The number of the label that feedback gave it last.
        var label: Int32?
    }

    private struct Place: Equatable, Comparable {
        let file: Int32
        /// From 1.
        let line: Int32

        static func < (one: Place, other: Place) -> Bool { (one.file, one.line) < (other.file, other.line) }
    }

    private struct Answered: Hashable {
        let id: AnswerRing.Key
        let index: Int
    }

    /// Writes the data set, whole or not at all. Throws `InputError` where there would be nothing in it.
    ///
    /// Returns what became of the records, in words.
    ///
    /// - Parameter progress: gets how many bytes are read, and of how many.
    package func write(
        to output: String, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws(InputError) -> String {
        var summary = Summary()
        var labels: [String] = []
        let entries = try scan(&summary, &labels) { progress($0, 2 * size) }
        let chosen = choose(entries, &summary)
        guard !chosen.isEmpty else {
            let omissions = summary.omissions(self)
            throw InputError(directory, "no text of its records fits\(omissions.isEmpty ? "" : ": \(omissions)")")
        }
        try FileReplacement.write(to: output, mode: 0o600) { (append) throws(InputError) in
            var buffer: [UInt8] = []
            var next = chosen[...]
            try forEachLine(progress: { progress(size + $0, 2 * size) }) { (place, bytes) throws(InputError) in
                // A file may have come to its end of time since.
                while let first = next.first, entries[first].place < place { next.removeFirst() }
                guard let first = next.first, entries[first].place == place,
                    case .answer(let answer)? = RecordLine(bytes)
                else { return }
                let label = entries[first].label.map { labels[Int($0)] }
                buffer += Self.example(answer, label: label)
                summary.written += 1
                if label != nil { summary.fromFeedback += 1 }
                guard buffer.count > 1 << 16 else { return }
                try append(buffer)
                buffer = []
            }
            try append(buffer)
        }
        let omissions = summary.omissions(self)
        return "\(output): \(summary.written) of \(entries.count) texts, \(summary.fromFeedback) with feedback's label and "
            + "\(summary.written - summary.fromFeedback) with the model's"
            + (omissions.isEmpty ? "" : "; left out: \(omissions)")
    }

    /// Reads everything once.
    private func scan(
        _ summary: inout Summary, _ labels: inout [String], progress: (Int) -> Void
    ) throws(InputError) -> [Entry] {
        let since = since.map { String(decoding: LineLogHandler.timestamp($0), as: UTF8.self) } ?? ""
        var entries: [Entry] = []
        /// The last text of an id: feedback is to that one, as when it was given.
        var answered: [Answered: Int] = [:]
        var numbers: [String: Int32] = [:]
        try forEachLine(progress: progress) { place, bytes in
            switch RecordLine(bytes) {
            case nil:  // as a crash leaves one, or somebody
                summary.damaged += 1
                summary.firstDamaged = summary.firstDamaged ?? "\(files[Int(place.file)]), line \(place.line)"
            case .answer(let answer)?:
                answered[Answered(id: .init(of: answer.id), index: answer.index ?? 0)] = entries.count
                let isOld = answer.time < since
                let isBlank = !isOld && Self.isBlank(answer.text)
                entries.append(
                    Entry(
                        text: .init(of: answer.pair.map { "\(answer.text)\0\($0)" } ?? answer.text), place: place,
                        isUsable: !isOld && !isBlank,
                        isSure: !isLabelledOnly && answer.best.confidence >= minimumConfidence))
                if isOld { summary.old += 1 }
                if isBlank { summary.blank += 1 }
            case .feedback(let id, let index, let label, _)?:
                guard let entry = answered[Answered(id: .init(of: id), index: index)] else {
                    summary.unmatched += 1
                    return
                }
                let number = numbers[label] ?? Int32(labels.count)
                if number == labels.count {
                    numbers[label] = number
                    labels.append(label)
                }
                entries[entry].label = number
            }
        }
        return entries
    }

    /// Of each text one entry: one with feedback's label if there is any, the latest. In order.
    private func choose(_ entries: [Entry], _ summary: inout Summary) -> [Int] {
        var best: [AnswerRing.Key: Int] = [:]
        for (index, entry) in entries.enumerated() where entry.isUsable {
            guard entry.label != nil || entry.isSure else {
                summary.unsure += 1
                continue
            }
            if let other = best[entry.text] {
                summary.repeated += 1
                if entry.label == nil, entries[other].label != nil { continue }
            }
            best[entry.text] = index
        }
        return best.values.sorted()
    }

    /// Trainers and gates take no text without a character: by Python's `str.strip`.
    private static func isBlank(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { $0.properties.isWhitespace || 0x1C...0x1F ~= $0.value }
    }

    /// - Parameter label: feedback's; nil for the model's own.
    private static func example(_ answer: RecordLine.Answer, label: String?) -> [UInt8] {
        let (own, confidence) = answer.best
        var members: [JSONValue.Member] = [.init("text", .string(answer.text))]
        if let pair = answer.pair { members.append(.init("text_pair", .string(pair))) }
        members += [
            .init("label", .string(label ?? own)), .init("source", label == nil ? "model" : "feedback"),
            .init("id", .string(answer.id)),
        ]
        if let index = answer.index { members.append(.init("index", .integer(index))) }
        members += [
            .init("time", .string(answer.time)), .init("model", .string(answer.model)), .init("predicted", .string(own)),
            .init("confidence", .number(confidence)),
        ]
        return JSONValue.object(members).serialized() + [0x0A]
    }

    /// Every line that is not empty, in order.
    private func forEachLine(
        progress: (Int) -> Void, _ body: (Place, [UInt8]) throws(InputError) -> Void
    ) throws(InputError) {
        var before = 0
        for (file, path) in files.enumerated() where FileManager.default.fileExists(atPath: path) {
            var source = try ByteSource(path: path)
            var line: Int32 = 0
            while let bytes = try source.nextLine(limit: Self.maximumLine) {
                line += 1
                if !bytes.isEmpty { try body(Place(file: Int32(file), line: line), bytes) }
                progress(before + source.bytesRead)
            }
            before += source.bytesRead
        }
    }
}

extension RecordLine.Answer {
    /// The most probable label.
    fileprivate var best: (label: String, confidence: Double) {
        let best = scores.max { $0.value.double ?? 0 < $1.value.double ?? 0 }
        return (best?.name ?? "", best?.value.double ?? 0)
    }
}
