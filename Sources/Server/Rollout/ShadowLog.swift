import Engine
import Foundation
import Logging
import Synchronization

/// The file that keeps the texts on which a shadow and the model that answered do not agree: a line of JSON each. It is closed
/// to others (0600), and ends at a size.
final class ShadowLog: Sendable {
    private static let largest = 256 << 20

    private let path: String
    private let descriptor: Int32
    private let logger: Logger
    private let isEnded = Mutex(false)

    init(_ path: String, _ logger: Logger) throws(InputError) {
        self.path = path
        self.logger = logger
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw InputError("--shadow-log \(path)", "cannot be written: \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }

    func write(_ sample: Shadow.Sample, _ found: Prediction, by model: ServedModel) {
        func side(_ prediction: Prediction, _ model: ServedModel) -> JSONValue {
            [
                "model": .string(model.identity), "label": .string(prediction.best.label),
                "score": .number(Double(prediction.best.value)),
            ]
        }
        var members: [JSONValue.Member] = [
            .init("time", .string(Date().ISO8601Format())), .init("id", .string(sample.identifier)),
            .init("text", .string(sample.text)),
        ]
        if let pair = sample.pair { members.append(.init("text_pair", .string(pair))) }
        members.append(.init("answer", side(sample.prediction, sample.answeredBy)))
        members.append(.init("shadow", side(found, model)))
        let line = JSONValue.object(members).serialized() + [UInt8(ascii: "\n")]
        isEnded.withLock { isEnded in
            guard !isEnded else { return }
            var status = stat()
            let isFull = fstat(descriptor, &status) == 0 && Int(status.st_size) + line.count > Self.largest
            guard isFull || !FileReplacement.writeAll(line, to: descriptor) else { return }
            isEnded = true
            let reason = isFull ? "it has \(Self.largest) bytes" : String(cString: strerror(errno))
            logger.error("\(path) takes no more disagreements: \(reason). Move it away and start again")
        }
    }
}
