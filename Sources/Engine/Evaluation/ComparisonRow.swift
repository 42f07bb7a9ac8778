import Foundation

/// A model in one precision, measured in a process of its own, so that memory and start are its own too.
public struct ComparisonRow: Sendable {
    /// As they stand in the report of `apus compare`.
    public let json: JSONValue
    /// Each text's label, and whether it is the true one.
    public let predicted: [String]
    public let isRight: [Bool]

    public var model: String { json["model"]?.string ?? "" }
    public var precision: String { json["precision"]?.string ?? "" }

    /// A figure of the report: `accuracy`, `latency_ms.p50`.
    public func figure(_ path: String) -> Double? {
        path.split(separator: ".").reduce(json) { $0?[String($1)] }?.double
    }

    /// Milliseconds from `started`, on the system's monotonic clock in nanoseconds, to the first answer.
    public static func coldStart(_ classifier: Classifier, text: String, started: UInt64) throws -> Double {
        _ = try classifier.predict([text])
        return Double(monotonicNanoseconds &- started) / 1e6
    }

    public static var monotonicNanoseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Measures `classifier`: each text alone, then all of them in passes, as `apus predict` has them.
    public init(
        measuring classifier: Classifier, on dataset: Dataset, coldStart: Double,
        progress: (_ done: Int, _ total: Int) -> Void
    ) throws {
        let total = 2 * dataset.texts.count
        let evaluation = try Evaluation(classifier, on: dataset) { done, _ in progress(done, total) }
        let time = try ContinuousClock().measure {
            for start in stride(from: 0, to: dataset.texts.count, by: 32) {
                let end = min(start + 32, dataset.texts.count)
                _ = try classifier.predict(Array(dataset.texts[start..<end]))
                progress(dataset.texts.count + end, total)
            }
        }
        let own: [JSONValue.Member] = [
            .init("texts_per_second", .number(Double(dataset.texts.count) / (time / .seconds(1)))),
            .init("weights_bytes", .integer(classifier.weightsBytes)),
            .init("peak_memory_bytes", ProcessMemory.peak.map { .integer($0) } ?? nil),
            .init("cold_start_ms", .number(coldStart)),
        ]
        let left = ["texts_per_second", "reference", "gate", "slices"]
        json = .object((evaluation.report.object ?? []).filter { !left.contains($0.name) } + own)
        predicted = evaluation.predicted.map { evaluation.labels[$0] }
        isRight = zip(evaluation.predicted, dataset.labels).map { $0 == $1 }
    }

    /// What a process sends to the one that asked for the row.
    public var message: [UInt8] {
        JSONValue.object([
            .init("row", json), .init("predicted", .array(predicted.map(JSONValue.string))),
            .init("right", .array(isRight.map(JSONValue.bool))),
        ]).serialized()
    }

    /// nil for what is no `message`.
    public init?(message: [UInt8]) {
        guard let value = try? JSONValue(parsing: message), let json = value["row"],
            let predicted = value["predicted"]?.array?.compactMap(\.string), !predicted.isEmpty,
            let isRight = value["right"]?.array?.compactMap(\.bool), isRight.count == predicted.count
        else { return nil }
        self.json = json
        self.predicted = predicted
        self.isRight = isRight
    }

    /// The row in the report, with its agreement with `reference`, the share of texts with the same label, and the test of
    /// which of them is better.
    public func report(beside reference: ComparisonRow) -> JSONValue {
        .object(
            (json.object ?? []) + [
                .init("agreement", .number(agreement(with: reference))), .init("mcnemar", test(against: reference).json),
            ])
    }

    public func test(against reference: ComparisonRow) -> McNemarTest {
        McNemarTest(model: isRight, reference: reference.isRight)
    }

    public func agreement(with other: ComparisonRow) -> Double {
        Double(zip(predicted, other.predicted).count { $0 == $1 }) / Double(predicted.count)
    }
}
