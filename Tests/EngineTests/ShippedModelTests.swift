import Engine
import Foundation
import Testing

/// The model inside the package on TweetEval's test split.
@Suite struct ShippedModelTests {
    @Test(.needsData)
    func `f32 has the training script's accuracy; int8 agrees on 995 labels of 1,000 and loses at most 0.3 points`() throws {
        let data = try #require(Fixtures.data)
        let directory = try ModelDirectory.shipped()
        let trained = try #require(try Fixtures.json(directory.path + "/training_report.json")["test"])
        func labels(_ precision: Precision) throws -> (truth: [Int], predicted: [Int]) {
            let classifier = try Classifier(directory, options: .init(precision: precision))
            let dataset = try Dataset(
                path: data + "/tweeteval-sentiment", split: "test", names: try LabelNames(classifier.labels))
            return (dataset.labels, try classifier.predict(dataset.texts).map(\.bestIndex))
        }
        let (truth, f32) = try labels(.f32)
        let int8 = try labels(.int8).predicted
        func metrics(_ predicted: [Int]) -> ClassificationMetrics {
            ClassificationMetrics(truth: truth, predicted: predicted, labelCount: 3)
        }
        #expect(truth.count == 12_284)
        #expect(abs(metrics(f32).accuracy - (try #require(trained["accuracy"]?.double))) <= 0.001)
        #expect(abs(metrics(f32).macroRecall - (try #require(trained["macro_recall"]?.double))) <= 0.001)
        #expect(metrics(int8).accuracy >= 0.60, "the gate of every model of this project")
        #expect(metrics(f32).accuracy - metrics(int8).accuracy <= 0.003)
        let agreement = Double(zip(f32, int8).count { $0 == $1 }) / Double(truth.count)
        #expect(agreement >= 0.995)
    }
}
