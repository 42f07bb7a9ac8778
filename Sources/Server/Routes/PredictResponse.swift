import Engine
import Foundation

extension PredictRequest {
    /// The answer to the request's form.
    func answer(_ predictions: [Prediction]) -> JSONValue {
        switch form {
        case .text: object(predictions[0])
        case .texts, .instances: ["predictions": .array(predictions.map(object))]
        case .input(isNested: false): ranking(predictions[0])
        case .input(isNested: true): .array([ranking(predictions[0])])
        case .inputs: .array(predictions.map(ranking))
        }
    }

    private func object(_ prediction: Prediction) -> JSONValue { .object(prediction.members(values: values(prediction))) }

    /// A label's score each, by the function that was asked for.
    private func values(_ prediction: Prediction) -> [Float] {
        switch options.function {
        case nil: prediction.scores.map(\.value)
        case .softmax: prediction.shares
        case .sigmoid: prediction.logits.map { 1 / (1 + exp(-$0)) }
        case .some(.none): prediction.logits
        }
    }

    /// Labels and scores, the best first.
    private func ranking(_ prediction: Prediction) -> JSONValue {
        let ranked = zip(prediction.scores.map(\.label), values(prediction)).enumerated()
            .sorted { ($1.element.1, $0.offset) < ($0.element.1, $1.offset) }
            .map(\.element)
        return .array(
            ranked.prefix(options.topK ?? ranked.count).map { ["label": .string($0.0), "score": .float($0.1)] })
    }
}

extension Prediction {
    /// Each label's share: the scores, or a softmax of the logits of a model with others.
    fileprivate var shares: [Float] {
        guard kind != .oneLabel, let largest = logits.max() else { return scores.map(\.value) }
        let exponentials = logits.map { exp($0 - largest) }
        let sum = exponentials.reduce(0, +)
        return exponentials.map { $0 / sum }
    }
}
