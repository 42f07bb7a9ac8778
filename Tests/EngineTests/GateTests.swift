import Engine
import Foundation
import Testing

@Suite struct GateTests {
    /// ln C(n, k), by sums that are another order than the test's own.
    private static func p(_ fewer: Int, _ more: Int) -> Double {
        let n = fewer + more
        let terms = (0...fewer).map { (k: Int) -> Double in
            let choices: Double = lgamma(Double(n + 1)) - lgamma(Double(k + 1)) - lgamma(Double(n - k + 1))
            return exp(choices - Double(n) * log(2))
        }
        return min(1, 2 * terms.reduce(0, +))
    }

    @Test func `McNemar's exact test is the two-sided binomial one`() {
        // statsmodels.stats.contingency_tables.mcnemar([[0, b], [c, 0]], exact=True).pvalue
        for (b, c, expected) in [(0, 0, 1.0), (5, 5, 1), (1, 9, 0.021484375), (0, 6, 0.03125), (3, 0, 0.25), (4, 3, 1)] {
            #expect(abs(McNemarTest(modelOnly: b, referenceOnly: c).pValue - expected) < 1e-12, "\(b), \(c)")
        }
        for (b, c) in [(40, 62), (500, 430), (5200, 5000), (3, 400), (100_000, 101_000)] {
            let value = McNemarTest(modelOnly: b, referenceOnly: c).pValue
            #expect(value == McNemarTest(modelOnly: c, referenceOnly: b).pValue)
            #expect(abs(value / Self.p(min(b, c), max(b, c)) - 1) < 1e-7, "\(b), \(c): \(value)")
        }
        #expect(McNemarTest(modelOnly: 0, referenceOnly: 100_000).pValue == 0)
        #expect(McNemarTest(model: [true, true, false], reference: [false, true, true]).pValue == 1)
    }

    @Test func `a label has a least recall of its own, and one without texts does not reach it`() {
        let metrics = ClassificationMetrics(truth: [0, 0, 1, 1], predicted: [0, 1, 1, 1], labelCount: 3)
        func failures(_ index: Int, _ minimum: Double) -> [String]? {
            Gate(minimumRecalls: [.init(label: "label \(index)", index: index, minimum: minimum)]).failures(metrics)
        }
        #expect(failures(0, 0.5) == [] && failures(1, 1) == [])
        #expect(failures(0, 0.6) == ["recall of label 0 0.5 is under the minimum 0.6"])
        #expect(failures(2, 0) == ["recall of label 2 is unknown: no text has that label"])
    }

    private func evaluation(_ records: String, _ gate: Gate) throws -> Evaluation {
        let directory = try TemporaryDirectory()
        try directory.write(records, to: "d.jsonl")
        let classifier = try Classifier(model: Fixtures.model("bert-tiny"))
        let dataset = try Dataset(
            path: directory.path + "/d.jsonl", split: "test", names: try LabelNames(classifier.labels), sliceField: "lang")
        return try Evaluation(classifier, on: dataset, gate: gate)
    }

    @Test func `each slice that is large enough is held to what is asked for, and failures name it`() throws {
        let classifier = try Classifier(model: Fixtures.model("bert-tiny"))
        let label = try classifier.predict(["word"])[0].best.label
        let other = try #require(classifier.labels.first { $0 != label })
        func records(_ count: Int, _ label: String, _ lang: String) -> String {
            String(repeating: "{\"text\": \"word\", \"label\": \"\(label)\"\(lang)}\n", count: count)
        }
        let texts =
            records(60, label, ", \"lang\": \"en\"") + records(60, other, ", \"lang\": \"de\"")
            + records(10, other, ", \"lang\": 7")
            + records(5, other, "")
        let result = try evaluation(texts, Gate(minimumAccuracy: 0.4))
        #expect(result.slices.map(\.value) == ["(none)", "7", "de", "en"])
        #expect(result.slices.map(\.examples) == [5, 10, 60, 60] && result.slices.map(\.metrics.accuracy) == [0, 0, 0, 1])
        #expect(result.gateFailures == ["slice lang=de, 60 texts: accuracy 0.0 is under the minimum 0.4"])
        #expect(try evaluation(texts, Gate(minimumAccuracy: 0.4, minimumSliceAccuracy: 0)).gateFailures == [])
        #expect(
            try evaluation(texts, Gate(minimumSliceAccuracy: 0, minimumSliceExamples: 61)).gateFailures == [
                "no slice has the 61 texts from which on it is held to a minimum"
            ])
        #expect(result.report["slices"]?["values"]?.array?.count == 4 && result.report["slices"]?["field"] == "lang")
        #expect(result.markdown.contains("| 7 (too few to be gated) | 10 | 0.00 % |"))
    }

    @Test func `a field that tells nothing apart is refused`() throws {
        let directory = try TemporaryDirectory()
        func refusal(_ field: String, _ content: String, _ file: String = "d.csv") throws -> String {
            try directory.write(content, to: file)
            return message {
                _ = try Dataset(
                    path: "\(directory.path)/\(file)", split: "test", names: try LabelNames(["a", "b"]), sliceField: field)
            }
        }
        #expect(
            try refusal("lang", "text,label\nx,a\n").contains(
                "has no column \"lang\" (--slice-field); its columns are text, label"))
        #expect(
            try refusal("lang", "{\"text\": \"x\", \"label\": \"a\"}\n", "d.jsonl").contains(
                "has no record with the field \"lang\" (--slice-field)"))
        let ids = "text,label,id\n" + (0..<201).map { "x,a,\($0)\n" }.joined()
        #expect(try refusal("id", ids).contains("has 201 different values of \"id\""))
        try directory.write("0\ta\n", to: "mapping.txt")
        #expect(
            message {
                _ = try Dataset(path: directory.path, split: "test", names: try LabelNames(["a"]), sliceField: "lang")
            }.contains("has no fields for --slice-field"))
    }

    // MARK: - The model's digest

    /// The same file to a reader of JSON; of a list of words, the last two in the other order.
    private static func changed(_ content: [UInt8], _ file: String) -> [UInt8] {
        guard file.hasSuffix(".txt") else { return file.hasSuffix(".json") ? content + [0x0A] : content }
        var lines = content.split(separator: 0x0A)
        lines.swapAt(lines.count - 1, lines.count - 2)
        return Array(lines.joined(separator: [0x0A]) + [0x0A])
    }

    @Test func `the digest is sha256sum's of its parts and changes with each of them`() throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        func digest(_ options: Classifier.Options = .init()) throws -> ModelDigest {
            try Classifier(model: directory.path, options: options).modelDigest()
        }
        let before = try digest()
        #expect(before == (try digest(.init(precision: .f32))), "the precision is no part of it")
        #expect(before.parts.first?.name == "weights" && before.parts.last == .init("text_preparation", "tweet"))
        #expect(before != (try digest(.init(preparation: TextPreparation.none))))
        for file in before.parts.map(\.name) where file.contains(".") {
            let content = try directory.read(file)
            try directory.write(Self.changed(content, file), to: file)
            #expect(try digest() != before, "\(file)")
            try directory.write(content, to: file)
        }
        #expect(try digest() == before)
    }

    @Test func `a gate is refused after the tokenizer changed, and the error names the file`() throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        let classifier = try Classifier(model: directory.path)
        try directory.write("text,label\nword,\(classifier.labels[0])\n", to: "d.csv")
        let dataset = try Dataset(path: directory.path + "/d.csv", split: "test", names: try LabelNames(classifier.labels))
        let report = try Evaluation(classifier, on: dataset, gate: Gate(minimumAccuracy: 0)).report
        try directory.write(report.serialized(), to: "evaluation_report.json")
        #expect(try GateRequirement.failures(of: classifier) == nil)
        let tokenizer = try #require(
            classifier.modelDigest().parts.map(\.name).first { ["tokenizer.json", "vocab.txt"].contains($0) })
        try directory.write(Self.changed(directory.read(tokenizer), tokenizer), to: tokenizer)
        let refusal = message { _ = try GateRequirement.failures(of: try Classifier(model: directory.path)) }
        #expect(refusal.contains("is about another model: \(tokenizer) changed; its model_digest is"))
        #expect(refusal.contains("Measure this model: apus evaluate --dataset"))
        let unprepared = try Classifier(model: directory.path, options: .init(preparation: TextPreparation.none))
        #expect(
            message { _ = try GateRequirement.failures(of: unprepared) }.contains("text_preparation was tweet, now none"))
    }
}
