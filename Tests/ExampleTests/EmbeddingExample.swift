// The README's example for a program that embeds the engine. This target sees Engine's public interface only.
import Engine

func moods(of texts: [String]) throws -> [String] {
    let classifier = try Classifier()  // or Classifier(model: "path/to/model"); keep it: loading takes time
    let predictions = try classifier.predict(texts)
    return predictions.map { "\($0.best.label) \($0.best.value)" }
}
