import Engine
import Foundation
import HTTPTypes
import Server
import Testing

@Suite struct FeedbackTests {
    private static let requestID = HTTPField.Name("X-Request-Id")!

    private static func key(_ number: Int) -> AnswerRing.Key {
        // Few chains, so that many requests share one.
        AnswerRing.Key(high: UInt64(number), low: UInt64(number % 3))
    }

    @Test(arguments: [1, 2, 3, 7, 16, 50])
    func `the ring finds what a plain list of the last answers has, whatever came, and however often`(capacity: Int) {
        var generator = SplitMix64(state: UInt64(capacity))
        var ring = AnswerRing(capacity: capacity)
        var list: [(request: Int, key: Int, index: Int, predicted: UInt16, actual: UInt16?)] = []
        for request in 0..<400 {
            let key = Int(generator.next() % 30)
            let count = 1 + Int(generator.next() % 5)
            let labels = (0..<count).map { _ in
                AnswerRing.Label(predicted: UInt16(generator.next() % 4), confidence: 0.5)
            }
            ring.append(Self.key(key), model: 0, labels, at: UInt32(request))
            if count <= capacity {
                list += labels.enumerated().map { (request, key, $0, $1.predicted, nil) }
                list.removeFirst(max(0, list.count - capacity))
            }
            for key in 0..<30 {
                let newest = list.last { $0.key == key }?.request
                // A request whose first texts made room is not found any more.
                let isWhole = list.contains { $0.request == newest && $0.index == 0 }
                for index in 0..<6 {
                    let expected = list.firstIndex { isWhole && $0.request == newest && $0.index == index }
                    let slot = ring.slot(Self.key(key), index: index)
                    #expect((slot == nil) == (expected == nil), "request \(request), key \(key), index \(index)")
                    guard let slot, let expected else { continue }
                    #expect(ring.answers[slot].predicted == list[expected].predicted)
                    #expect(ring.answers[slot].answered == UInt32(list[expected].request))
                    guard generator.next() % 8 == 0 else { continue }
                    let actual = UInt16(generator.next() % 4)
                    #expect(ring.judge(slot, actual: actual, at: 1) == (list[expected].actual != actual))
                    list[expected].actual = actual
                }
            }
            #expect(ring.judgedCount == list.count { $0.actual != nil })
        }
    }

    @Test func `Wilson's interval is that of the textbooks`() {
        // statsmodels.stats.proportion.proportion_confint(hits, count, method="wilson")
        for (hits, count, lower, upper) in [
            (8, 10, 0.4901625, 0.9433178), (0, 10, 0, 0.2775328), (10, 10, 0.7224672, 1), (700, 1000, 0.6708761, 0.7275932),
        ] {
            let interval = LiveAccuracy.interval(hits: hits, of: count)
            #expect(
                abs(interval.lowerBound - lower) < 1e-6 && abs(interval.upperBound - upper) < 1e-6, "\(hits) of \(count)")
        }
    }

    private static let records: [FeedbackLog.Record] = [
        .model(number: 0, name: "a \"name\"", digest: "ab", labels: ["négatif", "positif"]),
        .answer(
            key(1), model: 0, at: 7, labels: [.init(predicted: 1, confidence: 0.75), .init(predicted: 0, confidence: 1)]),
        .feedback(key(1), index: 1, actual: 1, at: 9),
    ]

    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = NSTemporaryDirectory() + "apus-feedback-\(UUID())"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private func read(_ folder: String) throws -> (records: [FeedbackLog.Record], torn: Int) {
        var records: [FeedbackLog.Record] = []
        let log = try FeedbackLog(directory: folder) { records.append($0) }
        return (records, log.torn)
    }

    @Test func `the log reads back what was written, and after any cut the whole records before it`() throws {
        try withFolder { folder in
            do {
                let log = try FeedbackLog(directory: folder) { _ in Issue.record("a new log holds nothing") }
                for record in Self.records { #expect(log.append(record.bytes)) }
                #expect(throws: InputError.self) { _ = try FeedbackLog(directory: folder) { _ in } }  // by another one
            }
            #expect(try read(folder).records == Self.records)
            let path = folder + "/feedback.log"
            let whole = Array(try #require(FileManager.default.contents(atPath: path)))
            let header = whole.count - Self.records.reduce(0) { $0 + $1.bytes.count }
            for length in whole.indices {
                try Data(whole[..<length]).write(to: URL(fileURLWithPath: path))
                var end = header
                let expected = Self.records.prefix { record in
                    end += record.bytes.count
                    return end <= length
                }
                #expect(try read(folder).records == Array(expected), "cut at \(length)")
                // What was cut off is gone: records written now are found again.
                do {
                    let log = try FeedbackLog(directory: folder) { _ in }
                    #expect(log.torn == 0 && log.append(Self.records[2].bytes))
                }
                #expect(try read(folder).records == Array(expected) + [Self.records[2]], "written after a cut at \(length)")
            }
        }
    }

    @Test func `a changed byte ends the log before its record, or the file is none of ours`() throws {
        try withFolder { folder in
            do {
                let log = try FeedbackLog(directory: folder) { _ in }
                #expect(log.replace(with: Self.records.flatMap(\.bytes)))
            }
            let path = folder + "/feedback.log"
            let whole = Array(try #require(FileManager.default.contents(atPath: path)))
            let header = whole.count - Self.records.reduce(0) { $0 + $1.bytes.count }
            for place in whole.indices {
                var bytes = whole
                bytes[place] ^= 0x20
                try Data(bytes).write(to: URL(fileURLWithPath: path))
                if place < header {
                    #expect(throws: InputError.self) { try read(folder) }
                    #expect(Array(try #require(FileManager.default.contents(atPath: path))) == bytes, "and is left alone")
                    continue
                }
                var end = header
                let expected = Self.records.prefix { record in
                    end += record.bytes.count
                    return end <= place
                }
                #expect(try read(folder).records == Array(expected), "byte \(place)")
            }
        }
    }

    private static func figures(_ client: LoopbackClient) async throws -> [String: Double] {
        let lines = try await get(client, "/metrics").text.split(separator: "\n")
        return Dictionary(
            lines.filter { $0.hasPrefix("apus_feedback") || $0.hasPrefix("apus_live") }.map { line in
                let parts = line.split(separator: " ")
                return (String(parts[0]), Double(parts[1]) ?? .nan)
            }
        ) { $1 }
    }

    @Test func `what was right is counted once, and a later word replaces an earlier one`() async throws {
        try await serve { client in
            let answer = try await post(client, #"{"texts":["I love it","I hate it","I love this"]}"#)
            let identifier = try #require(answer.headers[Self.requestID])
            let model = "minilm-l6-tweet-sentiment"
            func judge(_ index: Int, _ label: String) async throws {
                let (status, json, _) = try await post(
                    client, #"{"request_id":"\#(identifier)","index":\#(index),"label":"\#(label)"}"#, to: "/feedback")
                #expect(status == 200 && json["accepted"] == 1)
            }
            #expect(try await Self.figures(client).isEmpty)
            for _ in 0..<3 { try await judge(0, "positive") }
            var figures = try await Self.figures(client)
            let right = "apus_feedback_total{model=\"\(model)\",predicted=\"positive\",actual=\"positive\"}"
            #expect(figures[right] == 1)
            #expect(figures["apus_live_answers{model=\"\(model)\"}"] == 1)
            #expect(figures["apus_live_accuracy{model=\"\(model)\"}"] == 1)
            try await judge(1, "positive")
            try await judge(2, "neutral")
            figures = try await Self.figures(client)
            #expect(figures["apus_feedback_total{model=\"\(model)\",predicted=\"negative\",actual=\"positive\"}"] == 1)
            #expect(abs((figures["apus_live_accuracy{model=\"\(model)\"}"] ?? 0) - 1 / 3) < 1e-12)
            #expect(figures["apus_live_macro_recall{model=\"\(model)\"}"].map { abs($0 - 0.5 / 3) < 1e-12 } == true)
            try await judge(1, "negative")
            figures = try await Self.figures(client)
            #expect(figures["apus_live_answers{model=\"\(model)\"}"] == 3)
            #expect(abs((figures["apus_live_accuracy{model=\"\(model)\"}"] ?? 0) - 2 / 3) < 1e-12)
            let interval = LiveAccuracy.interval(hits: 2, of: 3)
            #expect(figures["apus_live_accuracy_bound{model=\"\(model)\",bound=\"lower\"}"] == interval.lowerBound)
            let status = try JSONValue(parsing: Array(try await get(client, "/status").text.utf8))["feedback"]
            #expect(status?["answers"] == 3 && status?["live"]?[model]?["labelled"] == 3)
        }
    }

    @Test func `a list is noted as far as it is known, and not at all where a label is none`() async throws {
        try await serve { client in
            let mine = [Self.requestID: "mine"] as HTTPFields
            #expect(try await post(client, #"{"texts":["I love it","I hate it"]}"#, headers: mine).status == 200)
            func item(_ id: String, _ index: Int, _ label: String) -> String {
                #"{"request_id":"\#(id)","index":\#(index),"label":"\#(label)"}"#
            }
            let wrong = try await post(client, "[\(item("mine", 0, "positive")),\(item("mine", 1, "bad"))]", to: "/feedback")
            #expect(wrong.status == 422)
            #expect(wrong.json["error"]?["message"]?.string?.contains("[1].label\" is \"bad\"") == true)
            #expect(try await Self.figures(client).isEmpty)
            let list = [item("mine", 0, "positive"), item("yours", 0, "positive"), item("mine", 2, "positive")]
            let answer = try await post(client, "[\(list.joined(separator: ","))]", to: "/feedback")
            #expect(answer.status == 200 && answer.json["accepted"] == 1)
            #expect(
                answer.json["unknown"]
                    == [["request_id": "yours", "index": 0], ["request_id": "mine", "index": 2]])
        }
    }

    @Test func `what is wrong with feedback is said by its name`() async throws {
        var options = ServerOptions()
        options.feedback.answers = 2
        options.limits.clientBatch = 2
        try await serve(options) { client in
            for (body, status, message) in [
                (#"{"request_id":"none","label":"positive"}"#, 404, "\"none\" and index 0 is remembered: the last 2"),
                ("{", 400, "not JSON"), ("3", 422, "the body is a number"), ("[]", 422, "empty array"),
                ("[1]", 422, "\"[0]\" is a number"), (#"{"label":"positive"}"#, 422, "\"request_id\" is missing"),
                (#"{"request_id":"","label":"positive"}"#, 422, "\"request_id\" is empty"),
                (#"{"request_id":"a"}"#, 422, "\"label\" is missing"),
                (#"{"request_id":"a","label":3}"#, 422, "\"label\" is a number"),
                (#"{"request_id":"a","label":"b","index":-1}"#, 422, "\"index\""),
                (#"{"request_id":"a","label":"b","index":1.5}"#, 422, "\"index\""),
                (#"{"request_id":"a","label":"b","index":99999999999}"#, 422, "\"index\""),
            ] {
                let answer = try await post(client, body, to: "/feedback")
                #expect(answer.status == status, "\(body)")
                #expect(answer.json["error"]?["message"]?.string?.contains(message) == true, "\(body): \(answer.json)")
            }
            // Newer answers push older ones out.
            for name in ["a", "b", "c"] {
                #expect(try await post(client, #"{"text":"x"}"#, headers: [Self.requestID: name]).status == 200)
            }
            for (name, status) in [("a", 404), ("b", 200), ("c", 200)] {
                let answer = try await post(client, #"{"request_id":"\#(name)","label":"neutral"}"#, to: "/feedback")
                #expect(answer.status == status, "\(name)")
            }
        }
        options.feedback.answers = 0
        try await serve(options) { client in
            let status = try await post(client, #"{"request_id":"a","label":"neutral"}"#, to: "/feedback").status
            #expect(status == 404)
        }
    }
}
