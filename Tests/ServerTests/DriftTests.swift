import Engine
import HTTPTypes
import NIOCore
import Server
import Testing

@Suite struct DriftTests {
    /// As a request has them.
    private static func read(_ texts: [String]) throws -> (predictions: [Prediction], traits: [TextTraits]) {
        let classifier = try Support.classifier.get()
        let inputs = try texts.map { try classifier.input($0) }
        return (try classifier.predict(inputs), zip(texts, inputs).map { classifier.traits(of: $0, $1) })
    }

    /// Half are liked and half are hated.
    private static let texts = (0..<200).map {
        $0 % 2 == 0 ? "I love number \($0)" : "I hate number \($0), really and truly"
    }

    private static func profile() throws -> ReferenceProfile {
        let (predictions, traits) = try read(texts)
        return ReferenceProfile(
            of: predictions, traits, dimensions: 16, labels: try Support.classifier.get().labels, dataset: "d", split: "s",
            precision: "int8")
    }

    @Test func `the same predictions have no drift, others have one in every feature that differs`() throws {
        let monitor = DriftMonitor(try Self.profile(), window: Self.window(samples: 200, minimum: 200))
        monitor.record(try Self.read(Self.texts))
        let same = monitor.report(at: .now)
        #expect(same.samples == 200 && same.figures.count == 6)
        for figures in same.figures.values {
            #expect(abs(figures.stabilityIndex) < 1e-12 && figures.jensenShannonDistance < 1e-6)
        }
        let shift = try #require(same.embedding)
        #expect(shift.mean == 0 && shift.meanPValue > 0.999 && shift.covariance < 0.1)
        #expect(monitor.risenTokens()?.isEmpty == true)
        // The window holds two hundred: these push all others out.
        monitor.record(try Self.read((0..<200).map { "I love number \($0) 😀 Привет" }))
        let other = monitor.report(at: .now)
        #expect(other.samples == 200)
        for feature in [ReferenceProfile.Feature.emoji, .script] {
            #expect(try #require(other.figures[feature]).stabilityIndex > 0.2)
        }
        let moved = try #require(other.embedding)
        #expect(moved.mean > 1 && moved.meanPValue < 1e-9 && moved.covariance > 0.1)
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
        monitor.record(try Self.read(["a", "b"]))
        #expect(monitor.report(at: .now).samples == 2 && monitor.report(at: .now).figures.isEmpty)
        monitor.record(try Self.read(["c"]))
        #expect(monitor.report(at: .now).figures.count == 6)
    }

    @Test func `predictions leave the window when they are too old`() throws {
        let monitor = DriftMonitor(try Self.profile(), window: Self.window(age: .seconds(60), minimum: 1))
        let start = ContinuousClock.now
        monitor.record(try Self.read(["a", "b"]), at: start)
        monitor.record(try Self.read(["c"]), at: start + .seconds(40))
        #expect(monitor.report(at: start + .seconds(59)).samples == 3)
        #expect(monitor.report(at: start + .seconds(70)).samples == 1)
        #expect(monitor.report(at: start + .seconds(200)).samples == 0)
    }

    @Test func `a token that rose is named once twenty requests of the window have it, however often one has it`() throws {
        func named(_ requests: [[String]], window: Int = 1000) throws -> [String] {
            let monitor = DriftMonitor(try Self.profile(), window: Self.window(samples: window, minimum: 1))
            monitor.record(try Self.read(Self.texts))
            for request in requests { monitor.record(try Self.read(request)) }
            let names = try Support.classifier.get().model.tokensByID()
            return try #require(monitor.risenTokens()).map { names[$0.id] ?? "" }
        }
        let news = "the storm is near"
        #expect(try named(Array(repeating: [news], count: 19)).isEmpty)
        #expect(try named([Array(repeating: news, count: 500)]).isEmpty, "one request")
        let named20 = try named(Array(repeating: [news, "a \(news)"], count: 20))
        #expect(Set(named20).isSuperset(of: ["storm", "near"]) && !named20.contains("number"))
        // The window holds ten: of the requests no twenty are left.
        #expect(try named(Array(repeating: [news], count: 20), window: 10).isEmpty)
    }

    @Test func `tokens are told behind the key, and to nobody where there is none`() async throws {
        for key in [nil, "secret"] {
            var options = ServerOptions()
            options.drift.minimumSamples = 4
            options.access.apiKey = key
            try await serve(options) { client in
                var headers = HTTPFields()
                if let key { headers[.authorization] = "Bearer \(key)" }
                for _ in 0..<25 { _ = try await post(client, #"{"text":"quokka quokka"}"#, headers: headers) }
                let response = try await client.execute(uri: "/status", method: .get, headers: headers)
                let drift = try JSONValue(parsing: Array(response.body.readableBytesView))["drift"]
                let tokens = drift?["tokens"]?.array?.compactMap { $0["token"]?.string }
                #expect(drift?["samples"] == 25 && tokens?.isEmpty == (key == nil ? nil : false), "\(tokens ?? [])")
                #expect((drift?["embedding"]?["mean"]?.double ?? 0) > 1)
                let metrics = try await get(client, "/metrics").text
                #expect(metrics.contains(",part=\"covariance\"} ") && !metrics.contains("quo"))
            }
        }
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
            for feature in ["label", "confidence", "tokens", "unknown_tokens", "emoji", "script"] {
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

extension DriftMonitor {
    fileprivate func record(_ request: ([Prediction], [TextTraits]), at now: ContinuousClock.Instant = .now) {
        record(request.0, request.1, at: now)
    }
}
