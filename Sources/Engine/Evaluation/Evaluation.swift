/// A model measured on a data set, beside a reference where there is one, and whether it passes its gate.
public struct Evaluation: Sendable {
    public let model: String
    public let weightsDigest: String
    /// Of all that decided its answers.
    public let modelDigest: ModelDigest
    /// What was applied to its logits; nil for nothing.
    public let appliedCalibration: Calibration?
    public let architecture: String
    public let precision: String
    public let isa: String
    public let threads: Int
    public let labels: [String]
    public let dataset: String
    public let split: String
    public let metrics: ClassificationMetrics
    public let intervals: Bootstrap
    /// How far its probabilities may be believed.
    public let calibration: CalibrationMetrics
    /// By the data set's field, where one was named.
    public let slices: [SliceEvaluation]
    public let sliceField: String?
    public let minimumSliceExamples: Int
    /// Of each text alone, tokenizing included.
    public let latency: LatencySummary
    public let textsPerSecond: Double
    public let comparison: ReferenceComparison?
    public let gateFailures: [String]?
    /// What a server compares its predictions with.
    public let profile: ReferenceProfile
    /// Each text's label, as an index into `labels`.
    public let predicted: [Int]

    private static let maximumLabels = 4096

    /// Runs the model over the data set, text by text, as a client would send them; then the reference.
    ///
    /// - Parameter reference: must have the model's labels, in whatever order; throws `InputError` where it has others.
    public init(
        _ classifier: Classifier, on dataset: Dataset, gate: Gate = Gate(), reference: Classifier? = nil,
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws {
        guard classifier.labels.count <= Self.maximumLabels else {
            throw InputError(
                classifier.directory.name,
                "has \(classifier.labels.count) labels; an evaluation, which counts each label taken for "
                    + "each, is of \(Self.maximumLabels) at most")
        }
        for model in [classifier, reference].compactMap(\.self) where model.kind != .oneLabel {
            throw InputError(
                model.directory.name,
                "does not take one label of several (config.json, problem_type); gates, references and comparisons are for "
                    + "models that do")
        }
        let order = try reference.map { try Self.order(of: $0, for: classifier) }
        let total = dataset.texts.count * (reference == nil ? 1 : 2)
        let clock = ContinuousClock()
        var predictions: [Prediction] = []
        var traits: [TextTraits] = []
        var times: [Double] = []
        for (index, text) in dataset.texts.enumerated() {
            let start = clock.now
            let input = try classifier.input(text, pair: dataset.pairs[index], index: index)
            predictions.append(try classifier.predict([input])[0])
            times.append((clock.now - start) / .milliseconds(1))
            traits.append(classifier.traits(of: text, pair: dataset.pairs[index], input))
            progress(index + 1, total)
        }
        model = classifier.directory.name
        weightsDigest = classifier.weightsDigest()
        modelDigest = classifier.modelDigest()
        appliedCalibration = classifier.calibration
        architecture = classifier.architecture
        precision = classifier.precision.rawValue
        isa = classifier.instructionSet.name
        threads = classifier.threads
        labels = classifier.labels
        self.dataset = dataset.name
        split = dataset.split
        predicted = predictions.map(\.bestIndex)
        metrics = ClassificationMetrics(truth: dataset.labels, predicted: predicted, labelCount: labels.count)
        let scores = predictions.map { $0.scores.map(\.value) }
        calibration = CalibrationMetrics(truth: dataset.labels, predicted: predicted, scores: scores)
        slices = SliceEvaluation.all(of: dataset, predicted: predicted, scores: scores, labelCount: labels.count)
        sliceField = dataset.slices?.field
        minimumSliceExamples = gate.minimumSliceExamples
        latency = LatencySummary(milliseconds: times)
        textsPerSecond = Double(times.count) / (times.reduce(0, +) / 1000)
        profile = ReferenceProfile(
            of: predictions, traits, dimensions: classifier.model.sketch.dimensions, labels: labels, dataset: dataset.name,
            split: dataset.split, precision: precision)

        guard let reference, let order else {
            intervals = Bootstrap(truth: dataset.labels, predicted: predicted, reference: nil, labelCount: labels.count)
            comparison = nil
            gateFailures = gate.failures(metrics, slices: slices)
            return
        }
        var referenceLabels: [Int] = []
        var largest: Float = 0
        // In passes of many texts: the same bits as alone, and faster.
        for start in stride(from: 0, to: dataset.texts.count, by: 64) {
            let range = start..<min(start + 64, dataset.texts.count)
            let inputs = try range.map { try reference.input(dataset.texts[$0], pair: dataset.pairs[$0], index: $0) }
            for (index, other) in zip(range, try reference.predict(inputs)) {
                referenceLabels.append(order[other.bestIndex])
                for (place, logit) in zip(order, other.logits) {
                    largest = max(largest, abs(logit - predictions[index].logits[place]))
                }
            }
            progress(dataset.texts.count + range.upperBound, total)
        }
        intervals = Bootstrap(
            truth: dataset.labels, predicted: predicted, reference: referenceLabels, labelCount: labels.count)
        let referenceMetrics = ClassificationMetrics(
            truth: dataset.labels, predicted: referenceLabels, labelCount: labels.count)
        let comparison = ReferenceComparison(
            model: reference.directory.name, precision: reference.precision.rawValue, accuracy: referenceMetrics.accuracy,
            agreement: Double(zip(predicted, referenceLabels).count { $0 == $1 }) / Double(predicted.count),
            // Of counts: 0.703 - 0.7 is more than 0.003.
            accuracyDrop: Double(referenceMetrics.hits - metrics.hits) / Double(dataset.texts.count),
            dropInterval: intervals.accuracyDrop!,
            test: McNemarTest(
                model: zip(predicted, dataset.labels).map { $0 == $1 },
                reference: zip(referenceLabels, dataset.labels).map { $0 == $1 }),
            largestLogitDifference: reference.model.logitScale == classifier.model.logitScale ? Double(largest) : nil)
        self.comparison = comparison
        gateFailures = gate.failures(metrics, comparison, slices: slices)
    }

    /// The model's index of each of the reference's labels.
    private static func order(of reference: Classifier, for classifier: Classifier) throws(InputError) -> [Int] {
        let order = reference.labels.compactMap { classifier.labels.firstIndex(of: $0) }
        guard order.count == reference.labels.count, order.count == classifier.labels.count else {
            throw InputError(
                reference.directory.name,
                "has the labels \(reference.labels.listed); a reference needs those of the model, "
                    + classifier.labels.listed)
        }
        return order
    }
}
