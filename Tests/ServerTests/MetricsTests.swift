import Metrics
import Server
import Testing

@Suite struct MetricsTests {
    @Test func `every kind of metric is written in Prometheus' text format`() {
        let registry = PrometheusRegistry([
            "size": .init(help: "A size,\nin \\ pieces.", buckets: [1, 2.5]),
            "wait_seconds": .init(help: "A wait.", buckets: [0.25]),
        ])
        Counter(label: "seen_total", dimensions: [("kind", "a \"b\"\n\\c")], factory: registry).increment(by: 3)
        Counter(label: "seen_total", dimensions: [("kind", "a \"b\"\n\\c")], factory: registry).increment()
        Gauge(label: "level", factory: registry).record(-1.5)
        Meter(label: "depth", factory: registry).set(7)
        let size = Recorder(label: "size", dimensions: [], aggregate: true, factory: registry)
        for value in [0.5, 1, 2, 99] { size.record(value) }
        Timer(label: "wait_seconds", dimensions: [("a", "b")], factory: registry).recordMilliseconds(500)
        #expect(
            registry.text == #"""
                # TYPE depth gauge
                depth 7
                # TYPE level gauge
                level -1.5
                # TYPE seen_total counter
                seen_total{kind="a \"b\"\n\\c"} 4
                # HELP size A size,\nin \\ pieces.
                # TYPE size histogram
                size_bucket{le="1"} 2
                size_bucket{le="2.5"} 3
                size_bucket{le="+Inf"} 4
                size_sum 102.5
                size_count 4
                # HELP wait_seconds A wait.
                # TYPE wait_seconds histogram
                wait_seconds_bucket{a="b",le="0.25"} 0
                wait_seconds_bucket{a="b",le="+Inf"} 1
                wait_seconds_sum{a="b"} 0.5
                wait_seconds_count{a="b"} 1

                """#)
    }

    @Test func `a second kind under a name, a value that is no number and a destroyed metric are not exported`() {
        let registry = PrometheusRegistry()
        Counter(label: "a", factory: registry).increment()
        Gauge(label: "a", factory: registry).record(9)
        let sizes = Recorder(label: "b", dimensions: [], aggregate: true, factory: registry)
        sizes.record(Double.nan)
        sizes.record(Double.infinity)
        let meter = Meter(label: "c", factory: registry)
        meter.set(1)
        meter.destroy()
        #expect(registry.text.hasPrefix("# TYPE a counter\na 1\n# TYPE b histogram\n"))
        #expect(registry.text.contains("b_count 0\n") && !registry.text.contains("c "))
    }

    @Test func `threads that count at once lose nothing`() async {
        let registry = PrometheusRegistry()
        await withDiscardingTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<1000 {
                        Counter(label: "n", factory: registry).increment()
                        Recorder(label: "h", dimensions: [], aggregate: true, factory: registry).record(1)
                    }
                }
            }
        }
        #expect(registry.text.contains("n 8000\n") && registry.text.contains("h_count 8000\n"))
    }

    @Test func `requests, predictions, batches and the process are counted`() async throws {
        try await serve { client in
            for _ in 0..<3 { _ = try await post(client, #"{"texts":["I love it","I hate it"]}"#) }
            _ = try await post(client, "{")
            _ = try await post(client, "{}", to: "/nothing/%22quoted%22")
            _ = try await client.execute(uri: "/predict", method: .init("PROPFIND")!)
            let (status, text, headers) = try await get(client, "/metrics")
            #expect(status == 200)
            #expect(headers[.contentType] == "text/plain; version=0.0.4; charset=utf-8")
            let expected = [
                #"http_requests_total{handler="/predict",method="POST",status="200"} 3"#,
                #"http_requests_total{handler="/predict",method="POST",status="400"} 1"#,
                #"http_requests_total{handler="/predict",method="other",status="405"} 1"#,
                #"http_requests_total{handler="other",method="POST",status="404"} 1"#,
                #"http_requests_total{handler="/",method="POST",status="500"} 0"#,
                #"http_requests_total{handler="/v2/models/{model}/infer",method="POST",status="503"} 0"#,
                #"http_request_duration_seconds_count{handler="/predict",method="POST"} 4"#,
                #"http_request_duration_seconds_bucket{handler="/predict",method="POST",le="0.0005"} "#,
                #"http_requests_in_progress 1"#,
                #"apus_predictions_total{model="minilm-l6-tweet-sentiment",label="positive"} 3"#,
                #"apus_predictions_total{model="minilm-l6-tweet-sentiment",label="negative"} 3"#,
                #"apus_predictions_total{model="minilm-l6-tweet-sentiment",label="neutral"} 0"#,
                #"apus_prediction_confidence_count{model="minilm-l6-tweet-sentiment"} 6"#,
                #"apus_input_tokens_sum{model="minilm-l6-tweet-sentiment"} 30"#,
                #"apus_batch_texts_sum{model="minilm-l6-tweet-sentiment"} 6"#,
                #"apus_batch_tokens_sum{model="minilm-l6-tweet-sentiment"} 30"#,
                #"apus_queue_depth{model="minilm-l6-tweet-sentiment"} 0"#,
                #"apus_tokenize_seconds_count{model="minilm-l6-tweet-sentiment"} 3"#,
                #"apus_queue_seconds_count{model="minilm-l6-tweet-sentiment"} 3"#,
                #"apus_inference_seconds_count{model="minilm-l6-tweet-sentiment"} 3"#,
                #"apus_rejected_total{reason="queue_full"} 0"#,
                #"apus_connections_ended_total{reason="slow_head"} 0"#,
                #"apus_connections_ended_total{reason="displaced"} 0"#,
                #"apus_truncated_total{model="minilm-l6-tweet-sentiment"} 0"#,
                #"apus_drift_samples{model="minilm-l6-tweet-sentiment"} 6"#,
                #"apus_model_info{model="minilm-l6-tweet-sentiment",id="apus/minilm-l6-tweet-sentiment",revision="","#,
                #"apus_gate_accuracy{model="minilm-l6-tweet-sentiment"} 0.67"#,
                "process_resident_memory_bytes ", "process_open_fds ", "process_cpu_seconds_total ",
                "process_start_time_seconds 1",
            ]
            for line in expected { #expect(text.contains("\n" + line), "\(line)") }
        }
    }
}
