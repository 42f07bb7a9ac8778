import Engine
import Foundation
import Logging
import Synchronization

/// What the server remembers of its answers, so that it can be told which label was right: live accuracy follows from it.
package final class Feedback: Sendable {
    /// A model, as the answers are told apart.
    struct Model: Equatable {
        let name: String
        let digest: String
        let labels: [String]
    }

    fileprivate struct State {
        var ring: AnswerRing
        var models: [Model] = []
        /// Records that are not in the log yet.
        var unwritten: [UInt8] = []
    }

    private let options: FeedbackOptions
    private let metrics: ServerMetrics
    private let records: TrainingRecords?
    private let logger: Logger
    private let now: @Sendable () -> UInt32
    private let state: Mutex<State>
    private let log: Mutex<FeedbackLog?>

    /// Throws `InputError` where the state directory cannot be used.
    ///
    /// - Parameter now: seconds since 1970.
    package init(
        _ options: FeedbackOptions, metrics: ServerMetrics, records: TrainingRecords? = nil, logger: Logger,
        now: @escaping @Sendable () -> UInt32 = { UInt32(clamping: time(nil)) }
    ) throws(InputError) {
        self.options = options
        self.metrics = metrics
        self.records = records
        self.logger = logger
        self.now = now
        var state = State(ring: AnswerRing(capacity: options.answers))
        var log: FeedbackLog?
        if let directory = options.directory {
            let start = now()
            let file = try FeedbackLog(directory: directory) { state.replay($0, at: start) }
            if file.torn > 0 {
                logger.warning(
                    "\(file.path): its last \(file.torn) bytes were no whole record, as a crash leaves them; they are cut off"
                )
            }
            log = file
        }
        self.log = Mutex(log)
        self.state = Mutex(state)
        guard options.directory != nil else { return }
        Thread.eachSecond(self) { $0.flush() }
    }

    /// Writes what is not in the log yet, and syncs: once a second, and at the end.
    package func flush() {
        log.withLock { log in
            guard let log else { return }
            let wasFailing = log.isFailing
            // After a failure all that is remembered is written, so that nothing of it is missing.
            let startsAnew = wasFailing || log.length > Self.logBytesPerAnswer * options.answers + 1 << 20
            let (records, memory) = state.withLock { state in
                defer { state.unwritten = [] }
                return (state.unwritten, startsAnew ? state : nil)
            }
            guard !records.isEmpty || startsAnew else { return }
            if memory.map({ log.replace(with: $0.records) }) ?? log.append(records) {
                if wasFailing { logger.notice("\(log.path) can be written again, and holds all that is remembered") }
                return
            }
            let reason = String(cString: strerror(errno))
            metrics.stateNotWritten()
            guard !wasFailing else { return }
            logger.error(
                """
                \(log.path) cannot be written: \(reason). Serving goes on, and feedback is remembered, but not over a \
                restart
                """
            )
        }
    }

    /// A log that is longer is made anew: three times what its answers and their feedback take.
    private static let logBytesPerAnswer = 240

    private func note(_ record: FeedbackLog.Record, _ state: inout State) {
        if options.directory != nil { state.unwritten += record.bytes }
    }

    /// What is remembered of one model's answers.
    struct Memory: Sendable {
        let feedback: Feedback
        /// What its answers are told apart by; the same for a model of the same name, digest and labels.
        let number: UInt16

        /// Remembers the answers to a request's texts.
        func record(_ predictions: [Prediction], of identifier: String) {
            feedback.record(predictions, of: identifier, model: number)
        }
    }

    /// nil for a model with over 65,536 labels, and after as many models.
    func memory(of model: Model) -> Memory? {
        state.withLock { state in
            if let number = state.models.firstIndex(of: model) { return Memory(feedback: self, number: UInt16(number)) }
            guard model.labels.count <= 1 << 16, let number = UInt16(exactly: state.models.count) else { return nil }
            state.models.append(model)
            note(.model(number: number, name: model.name, digest: model.digest, labels: model.labels), &state)
            return Memory(feedback: self, number: number)
        }
    }

    private func record(_ predictions: [Prediction], of identifier: String, model: UInt16) {
        let key = AnswerRing.Key(of: identifier)
        let labels = predictions.map {
            AnswerRing.Label(predicted: UInt16($0.bestIndex), confidence: $0.best.value)
        }
        let time = now()
        state.withLock { state in
            state.ring.append(key, model: model, labels, at: time)
            note(.answer(key, model: model, at: time, labels: labels), &state)
        }
    }

    /// What somebody says of an answer.
    struct Judgement: Equatable {
        let identifier: String
        /// Of the text within its request.
        let index: Int
        let label: String
    }

    enum Outcome: Equatable {
        case noted
        /// No such answer is remembered.
        case unknown
        /// The model has no such label.
        case notALabel(of: Model)
    }

    /// Notes judgements, all or, where one names a label that its model has not, none of them.
    func judge(_ judgements: [Judgement]) -> [Outcome] {
        let time = now()
        let keys = judgements.map { AnswerRing.Key(of: $0.identifier) }
        return state.withLock { state in
            let found = zip(judgements, keys).map { judgement, key in
                state.ring.slot(key, index: judgement.index).map { slot in
                    let answer = state.ring.answers[slot]
                    let model = state.models[Int(answer.model)]
                    return (slot, model, model.labels.firstIndex(of: judgement.label).map(UInt16.init))
                }
            }
            let outcomes = found.map { found in
                found.map { $0.2 == nil ? Outcome.notALabel(of: $0.1) : .noted } ?? .unknown
            }
            guard outcomes.allSatisfy({ if case .notALabel = $0 { false } else { true } }) else { return outcomes }
            for (index, found) in found.enumerated() {
                guard case (let slot, let model, let actual?)? = found else { continue }
                guard state.ring.judge(slot, actual: actual, at: time) else { continue }
                let predicted = model.labels[Int(state.ring.answers[slot].predicted)]
                metrics.feedback(model: model.name, predicted: predicted, actual: model.labels[Int(actual)])
                records?.record(judgements[index])
                note(
                    .feedback(keys[index], index: UInt32(judgements[index].index), actual: actual, at: time), &state)
            }
            return outcomes
        }
    }

    /// By the models' numbers, how right they were within the window; none of whom nothing was said.
    func live() -> [UInt16: LiveAccuracy] {
        let time = now()
        let oldest = time - min(time, UInt32(clamping: options.window.components.seconds))
        typealias Judged = (actual: Int, predicted: Int, confidence: Float)
        let (judged, models) = state.withLock { state in
            var judged: [UInt16: [Judged]] = [:]
            if state.ring.judgedCount > 0 {
                for answer in state.ring.answers where answer.judged > oldest {
                    judged[answer.model, default: []].append(
                        (Int(answer.actual), Int(answer.predicted), answer.confidence))
                }
            }
            return (judged, state.models)
        }
        return Dictionary(
            uniqueKeysWithValues: judged.compactMap { number, judged in
                LiveAccuracy(judged, labels: models[Int(number)].labels).map { (number, $0) }
            })
    }

    /// How many answers are remembered at most, and how old the oldest one is, in seconds.
    var reach: (answers: Int, seconds: Int) {
        let time = now()
        return state.withLock { (options.answers, $0.ring.oldestTime.map { Int(time) - Int($0) } ?? 0) }
    }

    func json(_ models: [ServedModel]) -> JSONValue {
        let kept = state.withLock { $0.ring.answers.count }
        let live = live()
        let members = models.compactMap { model in
            model.accuracy(live).map { JSONValue.Member(model.names.name, $0.json) }
        }
        return [
            "answers": .integer(kept), "limit": .integer(options.answers),
            "window_seconds": .number(options.window / .seconds(1)), "live": .object(members),
        ]
    }
}

extension Feedback.State {
    /// Takes a record of the log back in; one that does not fit those before it is left out.
    fileprivate mutating func replay(_ record: FeedbackLog.Record, at now: UInt32) {
        switch record {
        case .model(let number, let name, let digest, let labels):
            if number == models.count { models.append(.init(name: name, digest: digest, labels: labels)) }
        case .answer(let key, let model, let time, let labels):
            guard model < models.count, labels.allSatisfy({ $0.predicted < models[Int(model)].labels.count }) else { return }
            // A clock that was set back must not make answers that never grow old.
            ring.append(key, model: model, labels, at: min(time, now))
        case .feedback(let key, let index, let actual, let time):
            guard let slot = ring.slot(key, index: Int(index)),
                actual < models[Int(ring.answers[slot].model)].labels.count
            else { return }
            _ = ring.judge(slot, actual: actual, at: min(time, now))
        }
    }

    /// The records that all of it can be read back from.
    fileprivate var records: [UInt8] {
        var records: [UInt8] = []
        for (number, model) in models.enumerated() {
            let record = FeedbackLog.Record.model(
                number: UInt16(number), name: model.name, digest: model.digest, labels: model.labels)
            records += record.bytes
        }
        for slots in ring.requests {
            let answers = slots.map { ring.answers[$0] }
            let labels = answers.map { AnswerRing.Label(predicted: $0.predicted, confidence: $0.confidence) }
            let (key, first) = (answers[0].key, answers[0])
            records += FeedbackLog.Record.answer(key, model: first.model, at: first.answered, labels: labels).bytes
            // An id that came again hides the answers before it; so does it here.
            for (index, answer) in answers.enumerated() where answer.judged > 0 {
                let record = FeedbackLog.Record.feedback(key, index: UInt32(index), actual: answer.actual, at: answer.judged)
                records += record.bytes
            }
        }
        return records
    }
}
