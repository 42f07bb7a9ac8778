import Benchmark
import Engine
import Foundation

/// A request of 32 texts read, and an answer of 32 predictions written, beside Foundation.
func jsonBenchmarks() {
    measure("JSON, a request of 32 texts read", [.ofFoundation, .allocations, .nanoseconds]) {
        let body = JSONValue.object([.init("texts", .array(tweets.prefix(32).map { .string($0) }))]).serialized()
        let data = Data(body)
        let theirs = try JSONSerialization.jsonObject(with: data) as! [String: [String]]
        let ours = try JSONValue(parsing: body)["texts"]?.array?.compactMap(\.string)
        try expect(ours == theirs["texts"], "the texts differ from Foundation's")
        let read = { blackHole(try! JSONValue(parsing: body)) }
        return counted(read, beside: { blackHole(try! JSONSerialization.jsonObject(with: data)) })
    }
    measure("JSON, an answer of 32 predictions written", [.ofFoundation, .allocations, .nanoseconds]) {
        let scores = ["negative": 0.0123456789, "neutral": 0.1234567891, "positive": 0.864197532]
        let answer = JSONValue.object([
            .init(
                "predictions",
                .array(
                    (0..<32).map { _ in
                        .object([
                            .init("label", "positive"), .init("score", .number(0.864197532)),
                            .init(
                                "scores", .object(scores.sorted { $0.key < $1.key }.map { .init($0.key, .number($0.value)) })
                            ),
                        ])
                    }))
        ])
        let theirs: [String: Any] = [
            "predictions": (0..<32).map { _ in
                ["label": "positive", "score": 0.864197532, "scores": scores] as [String: Any]
            }
        ]
        let read = try JSONSerialization.jsonObject(with: Data(answer.serialized())) as! NSDictionary
        try expect(read == theirs as NSDictionary, "Foundation reads something else")
        return counted(
            { blackHole(answer.serialized()) }, beside: { blackHole(try! JSONSerialization.data(withJSONObject: theirs)) })
    }
}

private func counted(
    _ own: @escaping () -> Void, beside theirs: @escaping () -> Void
) -> Sample {
    let sample = compare(Repeated(own), with: Repeated(theirs), .ofFoundation)
    return { record in
        record(.allocations, allocations(own))
        sample(record)
    }
}
