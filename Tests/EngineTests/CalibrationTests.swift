import Engine
import Foundation
import Testing

@Suite struct CalibrationTests {
    // MARK: - Figures

    @Test func `a model that says 80 % and is right on 60 % is 20 points off`() {
        let truth = (0..<100).map { $0 < 60 ? 0 : 1 }
        let metrics = CalibrationMetrics(
            truth: truth, predicted: truth.map { _ in 0 }, scores: truth.map { _ in [0.8, 0.2] })
        #expect(abs(metrics.expectedCalibrationError - 0.2) < 1e-7)
        #expect(abs(metrics.brierScore - 2 * (0.6 * 0.04 + 0.4 * 0.64)) < 1e-7)
        #expect(abs(metrics.logLoss + 0.6 * log(0.8) + 0.4 * log(0.2)) < 1e-7)
        #expect(
            metrics.expectedCalibrationErrorInterval.contains(0.2) && metrics.brierScoreInterval.contains(metrics.brierScore)
        )
        #expect(metrics.bins.count == 15 && metrics.bins[11].count == 0 && metrics.bins[12].count == 100)
        #expect(metrics.bins[12].accuracy == 0.6 && abs(metrics.bins[12].confidence! - 0.8) < 1e-7)
    }

    @Test func `scores of 0 and 1 have a bin and a finite log loss`() {
        let metrics = CalibrationMetrics(truth: [0, 1], predicted: [0, 0], scores: [[1, 0], [1, 0]])
        #expect(metrics.expectedCalibrationError == 0.5 && metrics.bins[14].count == 2)
        #expect(abs(metrics.logLoss - 36.0436 / 2) < 1e-3)
        let labels = CalibrationMetrics(truth: [[0], []], scores: [[1, 0], [0, 0]])
        #expect(labels.expectedCalibrationError == 0 && labels.logLoss == 0 && labels.bins[0].count == 3)
    }

    // MARK: - The fit

    private static func loss(_ count: Int, _ labels: Int, spread: Double) -> CalibrationFit.Loss {
        var random = SplitMix64(state: 7)
        func uniform() -> Double { Double(random.next() >> 11) / 9_007_199_254_740_992 }
        var logits: [[Double]] = []
        var targets: [[Double]] = []
        for _ in 0..<count {
            let row = (0..<labels).map { _ in 6 * uniform() - 3 }
            // The truth is drawn from the softmax of what the model says, too boldly, `spread` times.
            let p = Calibration.probabilities(row, .softmax)
            var (left, label) = (uniform(), 0)
            while label < labels - 1, left >= p[label] { (left, label) = (left - p[label], label + 1) }
            logits.append(row.map { $0 * spread })
            targets.append((0..<labels).map { $0 == label ? 1 : 0 })
        }
        return .init(logits: logits, targets: targets, function: .softmax)
    }

    @Test func `a temperature that was put in is found, and the loss is least there`() {
        let loss = Self.loss(4000, 3, spread: 2.5)
        let scale = loss.bestScale()
        #expect(abs(1 / scale - 2.5) < 0.15)
        for other in [scale * 0.999, scale * 1.001] { #expect(loss.value(other, nil) > loss.value(scale, nil)) }
    }

    @Test func `with biases the loss is never larger, has no slope left, and the biases add up to 0`() throws {
        let loss = Self.loss(2000, 4, spread: 0.5)
        let shifted = CalibrationFit.Loss(
            logits: loss.logits.map { [$0[0] + 1, $0[1], $0[2] - 0.5, $0[3]] }, targets: loss.targets, function: .softmax)
        let (scale, bias) = shifted.bestScaleAndBias(from: shifted.bestScale())
        let found = try #require(bias)
        #expect(shifted.value(scale, found) < shifted.value(shifted.bestScale(), nil))
        #expect(abs(found.reduce(0, +)) < 1e-9 && found[0] < -1 && found[2] > 0)
        for label in 0..<4 {
            for step in [-1e-3, 1e-3] {
                var other = found
                other[label] += step
                #expect(shifted.value(scale, other) > shifted.value(scale, found))
            }
        }
        let sigmoid = CalibrationFit.Loss(logits: shifted.logits, targets: shifted.targets, function: .sigmoid)
        let single = sigmoid.bestScaleAndBias(from: sigmoid.bestScale())
        #expect(sigmoid.value(single.scale, single.bias) < sigmoid.value(sigmoid.bestScale(), nil))
    }

    // MARK: - In a model's directory

    private func calibrated(_ directory: TemporaryDirectory, _ texts: Int = 40, bias: Bool = false) throws -> CalibrationFit
    {
        let classifier = try Classifier(model: directory.path, options: .init(usesCalibration: false))
        // The model is right on three texts of four.
        let lines = try (0..<texts).map { number in
            let best = try classifier.predict(["good \(number) bad \(number * 7 % 11)"])[0].best.label
            let label = number % 4 == 0 ? classifier.labels[number / 4 % classifier.labels.count] : best
            return "good \(number) bad \(number * 7 % 11),\(label)\n"
        }
        try directory.write("text,label\n" + lines.joined(), to: "d.csv")
        let dataset = try Dataset(path: directory.path + "/d.csv", split: "val", names: try LabelNames(classifier.labels))
        let fit = try CalibrationFit(classifier, on: dataset, fitsBias: bias)
        try directory.write(fit.calibration.bytes, to: "calibration.json")
        return fit
    }

    @Test func `predictions are the softmax of logits over the temperature, and no label changes`() throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        let raw = try Classifier(model: directory.path)
        for temperature in [0.05, 1, 3, 100] {
            let calibration = Calibration(
                temperature: temperature, bias: nil, labels: raw.labels, dataset: "d", split: "val", examples: 1,
                precision: "int8", model: raw.modelDigest())
            try directory.write(calibration.bytes, to: "calibration.json")
            let classifier = try Classifier(model: directory.path)
            #expect(classifier.calibration == calibration)
            let texts = (0..<50).map { "good \($0) bad \($0 * 7 % 11)" }
            for (before, after) in zip(try raw.predict(texts), try classifier.predict(texts)) {
                #expect(before.logits == after.logits && before.best.label == after.best.label)
                let exponentials = after.logits.map { exp((Double($0) - Double(after.logits.max()!)) / temperature) }
                for (score, exponential) in zip(after.scores, exponentials) {
                    #expect(abs(Double(score.value) - exponential / exponentials.reduce(0, +)) < 1e-7)
                }
            }
            let left = try Classifier(model: directory.path, options: .init(usesCalibration: false))
            #expect(try left.predict(texts) == raw.predict(texts))
            #expect(left.modelDigest() == raw.modelDigest() && classifier.modelDigest() != raw.modelDigest())
        }
    }

    @Test func `a fit lowers the log loss, is the same each time, and is read back as it was written`() throws {
        for bias in [false, true] {
            let directory = try TemporaryDirectory(model: "bert-tiny")
            let fit = try calibrated(directory, bias: bias)
            #expect(fit.after.logLoss <= fit.before.logLoss)
            #expect(try Classifier(model: directory.path).calibration == fit.calibration)
            #expect(try calibrated(directory, bias: bias).calibration.bytes == fit.calibration.bytes)
            #expect((fit.calibration.bias != nil) == bias)
        }
    }

    @Test func `a file that does not fit is one error that names it, what was found and what to do`() throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        let members = try #require(try calibrated(directory).calibration.json.object)
        func refusal(_ name: String, _ value: JSONValue?) throws -> String {
            let changed = members.filter { $0.name != name } + (value.map { [.init(name, $0)] } ?? [])
            return try refusal(JSONValue.object(changed).serialized())
        }
        func refusal(_ bytes: [UInt8]) throws -> String {
            try directory.write(bytes, to: "calibration.json")
            let text = message { _ = try Classifier(model: directory.path) }
            #expect(text.contains("/calibration.json: ") || bytes.isEmpty)
            #expect(
                text.hasSuffix("Fit it anew with apus calibrate, delete it, or leave it out with --raw") || bytes.isEmpty)
            return text
        }
        for temperature in [0, -1, 1e300, 1e-300, 100.1] {
            #expect(
                try refusal("temperature", .number(temperature)).contains(
                    "\"temperature\" is \(temperature); it must be from 0.01 to 100.0"))
        }
        for value in [nil, "1", JSONValue.null, .number(.nan)] {
            #expect(try refusal("temperature", value).contains("has no number \"temperature\""))
        }
        #expect(try refusal("bias", ["other": 1]).contains("has a bias for the labels other; the model has"))
        #expect(try refusal("bias", 1).contains("\"bias\" is a number, not an object or null"))
        let labels = try Classifier(model: directory.path, options: .init(usesCalibration: false)).labels
        let huge = JSONValue.object(labels.map { .init($0, 51) })
        #expect(try refusal("bias", huge).contains("is 51.0; it must be from -50.0 to 50.0"))
        #expect(try refusal("format_version", 2).contains("has format_version 2; this version of Apus reads 1"))
        #expect(try refusal("examples", 0).contains("has no whole number \"examples\" above 0"))
        #expect(try refusal("model_digest", nil).contains("has no string \"model_digest\""))
        #expect(try refusal("model_digest", "00").contains("was fitted on another model: its model_digest is 00"))
        #expect(try refusal(Array("{".utf8)).contains("is not JSON"))
        #expect(try refusal([UInt8](repeating: 0x20, count: 2 << 20)).contains("is 2097152 bytes long; at most 1048576"))
        #expect(try refusal([]).contains("is empty"))
    }

    @Test func `a calibration of another model is refused, and the error says what changed`() throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        _ = try calibrated(directory)
        try directory.setConfig("note", "changed")
        #expect(
            message { _ = try Classifier(model: directory.path) }.contains(
                "was fitted on another model (config.json changed): its model_digest is"))
        let options = Classifier.Options(preparation: TextPreparation.none)
        try directory.setConfig("note", nil)
        #expect(message { _ = try Classifier(model: directory.path, options: options) }.contains("was tweet, now none"))
    }

    @Test func `a regression has nothing to calibrate, and a bias needs every label`() throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        #expect(
            message { _ = try calibrated(directory, 1, bias: true) }.contains(
                "a bias needs texts with and without each label"))
        try directory.setConfig("problem_type", "regression")
        let regression = try Classifier(model: directory.path)
        try directory.write("text,label\nword,1.5\n", to: "n.csv")
        let data = try Dataset(
            path: directory.path + "/n.csv", split: "val", kind: .numbers, names: try LabelNames(regression.labels))
        #expect(message { _ = try CalibrationFit(regression, on: data) }.contains("there is nothing to calibrate"))
    }

    @Test func `labels that are judged one by one have their logits divided too`() throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        try directory.setConfig("problem_type", "multi_label_classification")
        let raw = try Classifier(model: directory.path)
        let names = raw.labels
        try directory.write(
            (0..<30).map { "{\"text\": \"word \($0)\", \"label\": [\"\(names[$0 % names.count])\"]}\n" }.joined(),
            to: "d.jsonl")
        let data = try Dataset(path: directory.path + "/d.jsonl", split: "val", kind: .labels, names: try LabelNames(names))
        let fit = try CalibrationFit(raw, on: data)
        try directory.write(fit.calibration.bytes, to: "calibration.json")
        let after = try Classifier(model: directory.path).predict(["word"])[0]
        for (score, logit) in zip(after.scores, after.logits) {
            #expect(abs(Double(score.value) - 1 / (1 + exp(-Double(logit) / fit.calibration.temperature))) < 1e-7)
        }
        #expect(fit.after.logLoss <= fit.before.logLoss)
    }
}
