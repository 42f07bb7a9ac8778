import Engine
import Foundation
import Testing

@Suite struct EvaluationTests {
    @Test func `metrics equal scikit-learn's for an uneven case`() {
        // sklearn: accuracy 4/7, recalls 2/3, 1/2, 1/2; precisions 2/3, 1/2, 1/2
        let metrics = ClassificationMetrics(
            truth: [0, 0, 0, 1, 1, 2, 2], predicted: [0, 0, 1, 1, 2, 2, 0], labelCount: 3)
        #expect(metrics.confusion == [[2, 1, 0], [0, 1, 1], [1, 0, 1]])
        #expect(abs(metrics.accuracy - 4.0 / 7) < 1e-12)
        #expect(abs(metrics.macroRecall - (2.0 / 3 + 0.5 + 0.5) / 3) < 1e-12)
        #expect(abs(metrics.macroF1 - (2.0 / 3 + 0.5 + 0.5) / 3) < 1e-12)
    }

    @Test func `a label that is never true or never predicted divides by nothing`() {
        let metrics = ClassificationMetrics(truth: [0, 0], predicted: [0, 1], labelCount: 3)
        #expect(metrics.classes.map(\.precision) == [1, 0, 0])
        // sklearn.metrics.recall_score and f1_score, average="macro": labels 0 and 1
        #expect(metrics.macroRecall == 0.25)
        #expect(abs(metrics.macroF1 - 1.0 / 3) < 1e-12)
    }

    @Test func `the gate reports every minimum that was missed and none where none was asked for`() {
        let metrics = ClassificationMetrics(truth: [0, 1], predicted: [0, 0], labelCount: 2)
        #expect(Gate().failures(metrics) == nil)
        #expect(Gate(minimumAccuracy: 0.5).failures(metrics) == [])
        #expect(Gate(minimumAccuracy: 0.6, minimumMacroRecall: 0.7).failures(metrics)?.count == 2)
        #expect(Gate(minimumAccuracy: .nan).failures(metrics)?.count == 1)
    }

    @Test func `percentiles go by nearest rank`() {
        let summary = LatencySummary(milliseconds: (1...200).map(Double.init).shuffled())
        #expect(summary.p50 == 100 && summary.p90 == 180 && summary.p99 == 198 && summary.mean == 100.5)
        #expect(LatencySummary(milliseconds: [3]).p99 == 3)
    }

    @Test func `a data set that does not fit is refused`() throws {
        let directory = try TemporaryDirectory()
        let labels = ["negative", "positive"]
        func load(_ name: String = "") -> String {
            message { _ = try Dataset(path: directory.path + name, split: "test", names: try LabelNames(labels)) }
        }
        try directory.write("0\tnegative\n1\tpositive\n", to: "mapping.txt")
        try directory.write("a\nb\n", to: "test_text.txt")
        try directory.write("0\n", to: "test_labels.txt")
        #expect(load().contains("test_text.txt has 2 lines, test_labels.txt has 1"))
        try directory.write("0\n7\n", to: "test_labels.txt")
        #expect(load().contains("test_labels.txt, line 2: \"7\" is not in mapping.txt"))
        try directory.write("0\tbad\n1\tgood\n", to: "mapping.txt")
        try directory.write("0\n1\n", to: "test_labels.txt")
        #expect(load().contains("label \"bad\" is not one of the model's, which are negative, positive"))
        #expect(load("/none").contains("this data set does not exist"))
        try directory.write("a\n\n", to: "test_text.txt")
        #expect(load().contains("test_text.txt, line 2: the text is empty"))
        try directory.write("{\"text\": \"a\", \"label\": \"positive\"}\n{\"text\": \"b\"}\n", to: "x.jsonl")
        #expect(load("/x.jsonl").contains("line 2: has no label's name or number in field \"label\""))
        try directory.write("text,label\n", to: "x.csv")
        #expect(load("/x.csv").contains("has no examples"))
    }

    @Test func `a data set's fields may have other names, and a missing one is told with those there are`() throws {
        let directory = try TemporaryDirectory()
        try directory.write("tweet,mood\n\"a, \"\"quoted\"\"\nline\",positive\nb,negative\n", to: "x.csv")
        func load(_ text: String, _ label: String) throws -> Dataset {
            try Dataset(
                path: directory.path + "/x.csv", split: "test", names: try LabelNames(["negative", "positive"]),
                textField: text,
                labelField: label)
        }
        let data = try load("tweet", "mood")
        #expect(data.texts == ["a, \"quoted\"\nline", "b"] && data.labels == [1, 0])
        #expect(message { _ = try load("tweet", "label") }.contains("has no column \"label\"; its columns are tweet, mood"))
        #expect(message { _ = try load("text", "mood") }.contains("has no column \"text\"; its columns are tweet, mood"))
    }

    @Test func `labels are found by a map, by name, by number, and in another case where only one is alike`() throws {
        let labels = ["negative", "Neutral", "neutral", "7"]
        let names = try LabelNames(labels, map: "bad=negative,1=negative,a b=neutral")
        for (name, index) in [
            ("bad", 0), ("a b", 2), ("Neutral", 1), ("neutral", 2), ("7", 3), ("0", 0), ("1", 0), ("2", 2), ("NEGATIVE", 0),
        ] {
            #expect(try names.index(name, "x") == index, "\(name)")
        }
        for name in ["NEUTRAL", "4", "-1", "good", ""] {
            #expect(message { _ = try names.index(name, "x") }.hasPrefix("x: label \"\(name)\" is not one of the model's"))
        }
    }

    @Test func `a map of labels may be a file, and one that does not fit is refused`() throws {
        let directory = try TemporaryDirectory()
        let labels = ["LABEL_0", "LABEL_1"]
        let path = directory.path + "/map"
        for content in ["negative\tLABEL_0\npositive\tLABEL_1\n", #"{"negative": "LABEL_0", "positive": "LABEL_1"}"#] {
            try directory.write(content, to: "map")
            #expect(try LabelNames(labels, map: path).index("positive", "x") == 1)
        }
        func refusal(_ map: String) -> String { message { _ = try LabelNames(labels, map: map) } }
        #expect(refusal("a=LABEL_2").contains("maps \"a\" to \"LABEL_2\", which is not one of the model's labels"))
        #expect(refusal("a=LABEL_0,a=LABEL_1").contains("maps \"a\" twice"))
        #expect(refusal("a=LABEL_0,b").contains("needs name=label") && refusal("=").contains("needs name=label"))
        #expect(refusal("/nonexistent").contains("cannot be opened"))
        try directory.write(#"{"a": 1}"#, to: "map")
        #expect(refusal(path).contains("is not a JSON object of the data set's labels"))
        try directory.write("a b\n", to: "map")
        #expect(refusal(path).contains("map, line 1: needs name=label"))
    }

    @Test(arguments: ["x.CSV", "x.tsv", "x.ndjson", "x.json", "x.JSONL"])
    func `a file's suffix says its format, and numbers are labels`(_ file: String) throws {
        let directory = try TemporaryDirectory()
        let contents = [
            "csv": "text,label\ngood,1\nbad,0\n", "tsv": "text\tlabel\ngood\t1\nbad\t0\n",
            "json": "\n[{\"text\": \"good\", \"label\": 1},\n {\"text\": \"bad\", \"label\": \"0\"}]\n",
        ]
        let suffix = (file as NSString).pathExtension.lowercased()
        let lines = "{\"text\": \"good\", \"label\": 1}\n \n{\"text\": \"bad\", \"label\": \"Negative\"}\n\n"
        try directory.write(contents[suffix] ?? lines, to: file)
        let data = try Dataset(
            path: "\(directory.path)/\(file)", split: "test", names: try LabelNames(["negative", "positive"]))
        #expect(data.texts == ["good", "bad"] && data.labels == [1, 0])
    }

    @Test func `a file of an unknown suffix asks for its format, and one of plain texts has no labels`() throws {
        let directory = try TemporaryDirectory()
        try directory.write("text,label\ngood,positive\n", to: "x.parquet")
        try directory.write("good\n", to: "x.txt")
        func load(_ file: String, _ format: RecordFormat? = nil) throws -> Dataset {
            try Dataset(
                path: "\(directory.path)/\(file)", split: "test", names: try LabelNames(["positive", "negative"]),
                format: format)
        }
        #expect(
            message { _ = try load("x.parquet") }.contains("the suffix .parquet does not say how the records are written"))
        #expect(message { _ = try load("x.txt") }.contains("has no labels, as a file of plain texts"))
        #expect(try load("x.parquet", .csv).labels == [0])
    }

    // MARK: - Intervals

    @Test(arguments: [100, 1000, 10_000])
    func `the interval of the accuracy is that of a binomial share`(_ count: Int) {
        let truth = (0..<count).map { $0 % 2 }
        let predicted = (0..<count).map { $0 % 10 < 6 ? $0 % 2 : 1 - $0 % 2 }
        let interval = Bootstrap(truth: truth, predicted: predicted, reference: nil, labelCount: 2).accuracy
        let half: Double = 1.96 * (0.24 / Double(count)).squareRoot()
        let tolerance: Double = 0.12 * half + 1 / Double(count)
        #expect(abs(0.6 - interval.lowerBound - half) < tolerance)
        #expect(abs(interval.upperBound - 0.6 - half) < tolerance)
    }

    @Test func `the interval of a loss is drawn in pairs: none where both err on the same texts`() {
        let truth = (0..<500).map { $0 % 3 }
        let predicted = truth.map { $0 == 2 ? 0 : $0 }
        let same = Bootstrap(truth: truth, predicted: predicted, reference: predicted, labelCount: 3)
        #expect(same.accuracyDrop == 0...0)
        // Both are right on 60 % of the texts, but not of the same ones.
        let left = truth.indices.map { $0 < 300 ? truth[$0] : 3 }
        let right = truth.indices.map { $0 >= 200 ? truth[$0] : 3 }
        let other = Bootstrap(truth: truth, predicted: left, reference: right, labelCount: 4)
        #expect(other.accuracyDrop!.contains(0) && other.accuracyDrop!.upperBound > 0.05)
    }

    @Test func `intervals hold their figures, also with labels that are never true, and are the same each time`() {
        let truth = (0..<400).map { $0 % 2 }
        let predicted = (0..<400).map { $0 % 7 == 0 ? 2 : $0 % 2 }
        let metrics = ClassificationMetrics(truth: truth, predicted: predicted, labelCount: 4)
        let intervals = Bootstrap(truth: truth, predicted: predicted, reference: nil, labelCount: 4)
        #expect(intervals.accuracy.contains(metrics.accuracy))
        #expect(intervals.macroRecall.contains(metrics.macroRecall))
        #expect(intervals.macroRecall.upperBound < 0.67, "the label that is only guessed counts as a recall of 0")
        let again = Bootstrap(truth: truth, predicted: predicted, reference: nil, labelCount: 4)
        #expect(again.accuracy == intervals.accuracy && again.macroRecall == intervals.macroRecall)
    }

    // MARK: - Gates

    @Test func `all that a gate misses is told together, and a figure that is no number fails`() {
        let metrics = ClassificationMetrics(truth: [0, 1], predicted: [0, 0], labelCount: 2)
        func comparison(_ drop: Double, _ agreement: Double) -> ReferenceComparison {
            ReferenceComparison(
                model: "m", precision: "f32", accuracy: 0.75, agreement: agreement, accuracyDrop: drop,
                dropInterval: 0.1...0.3, test: McNemarTest(modelOnly: 0, referenceOnly: 0), largestLogitDifference: nil)
        }
        let gate = Gate(minimumAccuracy: 0.9, minimumMacroRecall: 0.9, maximumAccuracyDrop: 0.2, minimumAgreement: 0.99)
        #expect(gate.failures(metrics, comparison(0.25, 0.5))?.count == 4)
        #expect(gate.failures(metrics, comparison(.nan, .nan))?.count == 4)
        let lenient = Gate(maximumAccuracyDrop: 0.25, minimumAgreement: 0.5)
        #expect(lenient.failures(metrics, comparison(0.25, 0.5)) == [])
        let inTheNoise = Gate(maximumAccuracyDrop: 0.2).failures(metrics, comparison(0.25, 1))
        #expect(inTheNoise?.first?.hasSuffix("by chance alone it could be the maximum too)") == true)
        #expect(Gate(maximumAccuracyDrop: 0).failures(metrics, comparison(-0.01, 1)) == [], "a gain is no loss")
    }

    @Test func `a required gate asks for a passed report of the same weights and precision`() throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        let classifier = try Classifier(model: directory.path)
        func refusal() -> String { message { _ = try GateRequirement.failures(of: classifier) } }
        #expect(refusal().contains("evaluation_report.json: is missing, and --require-gate asks for it"))
        func write(_ changes: (String, JSONValue)...) throws {
            var report: [(String, JSONValue)] = [
                ("accuracy", 1), ("macro_recall", 1), ("dataset", "d"), ("split", "test"), ("precision", "int8"),
                ("weights_sha256", .string(classifier.weightsDigest())),
                ("model_digest", .string(classifier.modelDigest().hexadecimal)),
                ("model_parts", .object(classifier.modelDigest().parts.map { .init($0.name, .string($0.value)) })),
                ("gate", ["passed": true, "failures": []]),
            ]
            for (name, value) in changes {
                report.removeAll { $0.0 == name }
                report.append((name, value))
            }
            try directory.write(JSONValue.object(report.map { .init($0, $1) }).serialized(), to: "evaluation_report.json")
        }
        try write()
        #expect(try GateRequirement.failures(of: classifier) == nil)
        try write(("gate", ["passed": false, "failures": ["too bad"]]))
        #expect(try GateRequirement.failures(of: classifier) == ["too bad"])
        try write(("gate", nil))
        #expect(refusal().contains("was written without a gate"))
        try write(("weights_sha256", "0000"))
        #expect(
            refusal().contains("is about other weights: their sha256 is 0000, this model's \(classifier.weightsDigest())"))
        try write(("precision", "f32"))
        #expect(refusal().contains("is about precision f32; this server's is int8"))
        try write(("model_digest", nil))
        #expect(refusal().contains("was written by an older Apus") && refusal().contains("apus evaluate --dataset"))
        try write(("model_digest", "00"), ("model_parts", nil))
        #expect(refusal().contains("is about another model; its model_digest is 00, this one's"))
        try directory.write("{", to: "evaluation_report.json")
        #expect(refusal().contains("is not JSON"))
    }

    @Test func `the shipped model passed the gate that is stored with it`() throws {
        #expect(try GateRequirement.failures(of: try Classifier()) == nil)
    }

    @Test func `a reference that is the model itself agrees in all, and one with other labels is refused`() throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        let classifier = try Classifier(model: directory.path)
        try directory.write(
            "text,label\n" + (0..<20).map { "word \($0),\(classifier.labels[$0 % 2])\n" }.joined(), to: "d.csv")
        let dataset = try Dataset(path: directory.path + "/d.csv", split: "test", names: try LabelNames(classifier.labels))
        let same = try Evaluation(classifier, on: dataset, reference: try Classifier(model: directory.path))
        #expect(same.comparison?.agreement == 1 && same.comparison?.largestLogitDifference == 0)
        let names = JSONValue.object(classifier.labels.indices.map { .init("\($0)", .string("other \($0)")) })
        try directory.setConfig("id2label", names)
        let other = try Classifier(model: directory.path)
        #expect(
            message { _ = try Evaluation(classifier, on: dataset, reference: other) }.contains(
                "a reference needs those of the model"))
    }
}
