import CoreMetrics
import Synchronization

/// A backend of swift-metrics that keeps its figures for a Prometheus server to fetch.
///
/// Labels are the metrics' names as they are. A recorder that aggregates is a histogram, one that does not a gauge; a
/// timer is a histogram of seconds. A name has one kind: a second one under the same name is not exported.
package final class PrometheusRegistry: MetricsFactory {
    /// What a name means, for `# HELP`, and a histogram's upper bounds.
    package struct Description: Sendable {
        let help: String
        let buckets: [Double]

        package init(help: String, buckets: [Double] = []) {
            self.help = help
            self.buckets = buckets
        }
    }

    typealias Labels = [(String, String)]

    private let descriptions: [String: Description]
    private let families = Mutex<[String: Family]>([:])

    private struct Family {
        let kind: String
        /// By the labels as they are written.
        var samples: [String: any Sample] = [:]
    }

    /// - Parameter descriptions: by name. A histogram that is not in it has the default buckets of Prometheus' clients.
    package init(_ descriptions: [String: Description] = [:]) { self.descriptions = descriptions }

    private static let defaultBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

    private func sample<Value: Sample>(_ name: String, _ kind: String, _ labels: Labels, _ make: () -> Value) -> Value {
        let key = PrometheusText.labels(labels)
        return families.withLock { families in
            var family = families[name] ?? Family(kind: kind)
            if family.kind == kind, let sample = family.samples[key] as? Value { return sample }
            let sample = make()
            guard family.kind == kind else { return sample }
            family.samples[key] = sample
            families[name] = family
            return sample
        }
    }

    private func histogram(_ name: String, _ labels: Labels) -> PrometheusHistogram {
        sample(name, "histogram", labels) {
            let buckets = descriptions[name]?.buckets ?? []
            return PrometheusHistogram(buckets: buckets.isEmpty ? Self.defaultBuckets : buckets)
        }
    }

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        sample(label, "counter", dimensions) { PrometheusCounter() }
    }

    package func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler {
        sample(label, "counter", dimensions) { PrometheusCounter() }
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        sample(label, "gauge", dimensions) { PrometheusGauge() }
    }

    package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        aggregate ? histogram(label, dimensions) : sample(label, "gauge", dimensions) { PrometheusGauge() }
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        histogram(label, dimensions)
    }

    package func destroyCounter(_ handler: any CounterHandler) { remove(handler) }
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { remove(handler) }
    package func destroyMeter(_ handler: any MeterHandler) { remove(handler) }
    package func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }
    package func destroyTimer(_ handler: any TimerHandler) { remove(handler) }

    /// Takes out all samples whose first label is this one.
    func remove(_ label: (String, String)) {
        let written = PrometheusText.labels([label])
        families.withLock { families in
            families = families.mapValues { family in
                Family(kind: family.kind, samples: family.samples.filter { !$0.key.hasPrefix(written) })
            }
        }
    }

    private func remove(_ handler: AnyObject) {
        families.withLock { families in
            families = families.mapValues { family in
                Family(kind: family.kind, samples: family.samples.filter { $1 !== handler })
            }
        }
    }

    /// All figures in Prometheus' text format 0.0.4, names and labels in order.
    package var text: String { prometheusText().text }

    func prometheusText() -> PrometheusText {
        let families = families.withLock { $0 }
        var text = PrometheusText()
        for (name, family) in families.sorted(by: { $0.key < $1.key }) where !family.samples.isEmpty {
            text.begin(name, kind: family.kind, help: descriptions[name]?.help)
            for (labels, sample) in family.samples.sorted(by: { $0.key < $1.key }) { sample.write(name, labels, to: &text) }
        }
        return text
    }
}

/// What can write itself as lines of a family.
private protocol Sample: AnyObject, Sendable {
    func write(_ name: String, _ labels: String, to text: inout PrometheusText)
}

private final class PrometheusCounter: CounterHandler, FloatingPointCounterHandler, Sample {
    private let value = Mutex(0.0)

    func increment(by amount: Int64) { increment(by: Double(amount)) }

    func increment(by amount: Double) {
        if amount > 0, amount.isFinite { value.withLock { $0 += amount } }
    }

    func reset() { value.withLock { $0 = 0 } }

    func write(_ name: String, _ labels: String, to text: inout PrometheusText) {
        text.add(name, labels, value.withLock { $0 })
    }
}

private final class PrometheusGauge: MeterHandler, RecorderHandler, Sample {
    private let value = Mutex(0.0)

    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { self.value.withLock { $0 = value } }
    func increment(by amount: Double) { value.withLock { $0 += amount } }
    func decrement(by amount: Double) { value.withLock { $0 -= amount } }
    func record(_ value: Int64) { set(Double(value)) }
    func record(_ value: Double) { set(value) }

    func write(_ name: String, _ labels: String, to text: inout PrometheusText) {
        text.add(name, labels, value.withLock { $0 })
    }
}

private final class PrometheusHistogram: RecorderHandler, TimerHandler, Sample {
    private struct State {
        /// Not cumulative; the last one is what lies over all bounds.
        var counts: [Int]
        var sum = 0.0
    }

    private let bounds: [Double]
    private let state: Mutex<State>

    init(buckets: [Double]) {
        bounds = buckets
        state = Mutex(State(counts: Array(repeating: 0, count: buckets.count + 1)))
    }

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        guard value.isFinite else { return }
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock { state in
            state.counts[bucket] += 1
            state.sum += value
        }
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }

    func write(_ name: String, _ labels: String, to text: inout PrometheusText) {
        let state = state.withLock { $0 }
        var count = 0
        for (bound, more) in zip(bounds + [.infinity], state.counts) {
            count += more
            let bucket = PrometheusText.labels([("le", PrometheusText.number(bound))], after: labels)
            text.add(name + "_bucket", bucket, Double(count))
        }
        text.add(name + "_sum", labels, state.sum)
        text.add(name + "_count", labels, Double(count))
    }
}
