import Engine
import Foundation
import Testing

/// The model inside the package against the figures that its training wrote.
@Suite struct ShippedModelTests {
    @Test(.needsData)
    func `apus evaluate gives the training script's accuracy on TweetEval's test split to within 0.1 points`() throws {
        let data = try #require(Fixtures.data)
        let directory = try ModelDirectory.shipped()
        let trained = try #require(try Fixtures.json(directory.path + "/training_report.json")["test"])
        let classifier = try Classifier(directory)
        let dataset = try Dataset(path: data + "/tweeteval-sentiment", split: "test", modelLabels: classifier.labels)
        let metrics = try Evaluation(classifier, on: dataset).metrics
        #expect(dataset.texts.count == 12_284)
        #expect(abs(metrics.accuracy - (try #require(trained["accuracy"]?.double))) <= 0.001)
        #expect(abs(metrics.macroRecall - (try #require(trained["macro_recall"]?.double))) <= 0.001)
        #expect(metrics.accuracy >= 0.60, "the gate of every model of this project")
    }
}
