import Engine
import Server
import Testing

@Suite struct DriftTests {
    private static func predictions(_ texts: [String]) throws -> [Prediction] { try Support.classifier.get().predict(texts) }

    /// A profile of texts of which half are liked and half are hated.
    private static func profile() throws -> ReferenceProfile {
        let texts = (0..<100).map { $0 % 2 == 0 ? "I love number \($0)" : "I hate number \($0), really and truly" }
        return ReferenceProfile(
            of: try predictions(texts), labels: try Support.classifier.get().labels, dataset: "d", split: "s",
            precision: "int8")
    }

    @Test func `the same predictions have no drift, others have one in every feature that differs`() throws {
        let texts = (0..<100).map { $0 % 2 == 0 ? "I love number \($0)" : "I hate number \($0), really and truly" }
        let monitor = DriftMonitor(try Self.profile(), window: Self.window(samples: 100, minimum: 100))
        monitor.record(try Self.predictions(texts))
        let same = monitor.report(at: .now)
        #expect(same.samples == 100 && same.figures.count == 3)
        for figures in same.figures.values {
            #expect(abs(figures.stabilityIndex) < 1e-12 && figures.jensenShannonDistance < 1e-6)
        }
        // The window holds a hundred: these push all others out.
        monitor.record(try Self.predictions((0..<100).map { "I love number \($0)" }))
        let other = monitor.report(at: .now)
        #expect(other.samples == 100)
        #expect(try #require(other.figures[.label]).stabilityIndex > 0.2)
        #expect(try #require(other.figures[.tokens]).jensenShannonDistance > 0.2)
    }

    private static func window(samples: Int = 1000, age: Duration = .seconds(3600), minimum: Int) -> DriftWindow {
        var window = DriftWindow()
        (window.samples, window.age, window.minimumSamples) = (samples, age, minimum)
        return window
    }

    @Test func `nothing is published of fewer samples than the minimum`() throws {
        let monitor = DriftMonitor(try Self.profile(), window: Self.window(minimum: 3))
        monitor.record(try Self.predictions(["a", "b"]))
        #expect(monitor.report(at: .now).samples == 2 && monitor.report(at: .now).figures.isEmpty)
        monitor.record(try Self.predictions(["c"]))
        #expect(monitor.report(at: .now).figures.count == 3)
    }

    @Test func `predictions leave the window when they are too old`() throws {
        let monitor = DriftMonitor(try Self.profile(), window: Self.window(age: .seconds(60), minimum: 1))
        let start = ContinuousClock.now
        monitor.record(try Self.predictions(["a", "b"]), at: start)
        monitor.record(try Self.predictions(["c"]), at: start + .seconds(40))
        #expect(monitor.report(at: start + .seconds(59)).samples == 3)
        #expect(monitor.report(at: start + .seconds(70)).samples == 1)
        #expect(monitor.report(at: start + .seconds(200)).samples == 0)
    }

    @Test func `metrics and status publish drift once there are enough samples`() async throws {
        var options = ServerOptions()
        options.drift.minimumSamples = 4
        try await serve(options) { client in
            _ = try await post(client, #"{"texts":["a","b","c"]}"#)
            #expect(!(try await get(client, "/metrics").text.contains("apus_drift_psi")))
            #expect(try JSONValue(parsing: Array(try await get(client, "/status").text.utf8))["drift"]?["features"] == .null)
            _ = try await post(client, #"{"text":"d"}"#)
            let metrics = try await get(client, "/metrics").text
            for feature in ["label", "confidence", "tokens"] {
                #expect(metrics.contains("\napus_drift_psi{model=\"minilm-l6-tweet-sentiment\",feature=\"\(feature)\"} "))
                #expect(
                    metrics.contains("\napus_drift_js_distance{model=\"minilm-l6-tweet-sentiment\",feature=\"\(feature)\"} ")
                )
            }
            let drift = try JSONValue(parsing: Array(try await get(client, "/status").text.utf8))["drift"]
            #expect(drift?["samples"] == 4 && (drift?["features"]?["tokens"]?["psi"]?.double ?? 0) > 0)
        }
    }
}
