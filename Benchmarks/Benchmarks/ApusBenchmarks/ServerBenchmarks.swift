import AllocationCounter
import Benchmark
import Engine
import Foundation
import HTTPTypes
import HummingbirdTesting
import Logging
import NIOCore
import Server

/// Requests over a local connection, client and server in one process: HummingbirdTesting's way without a socket gives a
/// channel that is never open, whose requests the queue drops as left by their client. Processor time of the whole process,
/// the engine on one thread.
func serverBenchmarks() {
    for count in [1, 32] {
        let texts = Array(tweets.prefix(count))
        let field: JSONValue = count == 1 ? .string(texts[0]) : .array(texts.map { .string($0) })
        let body = JSONValue.object([.init(count == 1 ? "text" : "texts", field)]).serialized()
        measureRequests(
            "POST /predict over a local connection, \(count) \(count == 1 ? "text" : "texts")",
            [.beyondEngine, .allocations, .nanoseconds],
            method: .post, path: "/predict", body: ByteBuffer(bytes: body)
        ) { classifier, response in
            let json = try JSONValue(parsing: Array(response.body.readableBytesView))
            let found = (json["predictions"]?.array ?? [json]).map { $0["label"]?.string }
            try expect(found == classifier.predict(texts).map(\.best.label), "the labels are \(found)")
        } engine: { classifier in
            blackHole(try! classifier.predict(texts))
        }
    }
    measureRequests(
        "GET /metrics over a local connection", [.allocations, .nanoseconds], method: .get, path: "/metrics", body: nil
    ) { _, response in
        let text = String(buffer: response.body)
        try expect(text.contains("# TYPE") && text.hasSuffix("\n"), "no metrics: \(text.prefix(100))")
    }
}

/// What a request of one text takes of its time to be counted.
func metricsBenchmarks() {
    measure("metrics, a request of one text recorded", [.allocations, .nanoseconds]) {
        let classifier = try Classifier(try ModelDirectory.shipped(), options: .init(threads: 1))
        let encodings = [try classifier.encode(tweets[0])]
        let answer = InferenceQueue.Answer(
            predictions: try classifier.predict(encodings), queued: .microseconds(10), inferred: .microseconds(400))
        let metrics = ServerMetrics()
        let model = ModelMetrics("m", labels: classifier.labels, in: metrics.registry)
        let record = {
            metrics.requestStarted()
            model.record(batchOf: encodings, took: answer.inferred)
            model.record(answer, tokenized: .microseconds(5))
            metrics.requestEnded(handler: "/predict", method: "POST", status: 200, error: nil, took: .microseconds(500))
        }
        record()
        let text = metrics.registry.text
        let label = answer.predictions[0].best.label
        for line in [
            "apus_batch_texts_count{model=\"m\"} 1", "apus_predictions_total{model=\"m\",label=\"\(label)\"} 1",
        ] {
            try expect(text.contains(line + "\n"), "\(line) is not in /metrics")
        }
        let repeated = Repeated(record)
        return { sample in
            sample(.allocations, allocations(record))
            sample(.nanoseconds, repeated.sample())
        }
    }
}

private func measureRequests(
    _ name: String, _ figures: [Figure], method: HTTPRequest.Method, path: String, body: ByteBuffer?,
    check: @escaping @Sendable (Classifier, TestResponse) throws -> Void, engine: (@Sendable (Classifier) -> Void)? = nil
) {
    guard Suite.wants(name, gate: true) else { return }
    let samples = Samples(name)

    func sample(_ benchmark: Benchmark) async throws {
        let classifier = try Classifier(try ModelDirectory.shipped(), options: .init(threads: 1))
        let server = try ApusServer(
            classifier: classifier, logger: Logger(label: "benchmark") { _ in SwiftLogNoOpLogHandler() })
        try await server.application().test(.live) { client in
            let headers: HTTPFields = body == nil ? [:] : [.contentType: "application/json"]
            func request() async throws -> TestResponse {
                try await client.execute(uri: path, method: method, headers: headers, body: body)
            }
            let response = try await request()
            try expect(response.status == .ok, "\(response.status)")
            try check(classifier, response)
            for _ in 0..<50 { _ = try await request() }
            // A sample is ten requests, so that what runs beside a request is in it.
            for _ in 0..<(Suite.isGate ? 40 : 100) {
                let allocated = allocation_counter_count()
                let start = ProcessorTime.ofProcess
                for _ in 0..<10 { blackHole(try await request().status.code) }
                let time = ProcessorTime.ofProcess - start
                samples.add(.allocations, Double(allocation_counter_count() - allocated) / 10, to: benchmark)
                samples.add(.nanoseconds, time / 10, to: benchmark)
                guard let engine else { continue }
                let before = ProcessorTime.ofProcess
                for _ in 0..<10 { engine(classifier) }
                let alone = ProcessorTime.ofProcess - before
                samples.add(.beyondEngine, 1000 * (time - alone) / alone, to: benchmark)
            }
        }
    }

    // The client lives inside a closure: one iteration takes all samples.
    Benchmark(
        name,
        configuration: .init(
            metrics: figures.map(\.metric), warmupIterations: 0, scalingFactor: .one, maxDuration: .seconds(60),
            maxIterations: 1),
        closure: { (benchmark: Benchmark) async in
            do { try await sample(benchmark) } catch { fail(name, error) }
            samples.write()
        })
}
