/// What a model must reach; nil is not asked for. All values are shares, 0 to 1.
public struct Gate: Sendable {
    public var minimumAccuracy: Double?
    public var minimumMacroRecall: Double?
    /// The least recall of single labels.
    public var minimumRecalls: [RecallFloor]
    /// Of the reference's accuracy less the model's.
    public var maximumAccuracyDrop: Double?
    /// Of texts to which model and reference give the same label.
    public var minimumAgreement: Double?
    /// What each slice must reach; nil for what all texts must.
    public var minimumSliceAccuracy: Double?
    public var minimumSliceMacroRecall: Double?
    /// A slice with fewer texts is not held to anything, and a label with fewer in it not to its least recall: chance alone
    /// moves such shares by more than ten points.
    public var minimumSliceExamples: Int

    public static let usualSliceExamples = 50

    public struct RecallFloor: Sendable, Equatable {
        public let label: String
        /// Among the model's labels.
        public let index: Int
        public let minimum: Double

        public init(label: String, index: Int, minimum: Double) {
            self.label = label
            self.index = index
            self.minimum = minimum
        }
    }

    public init(
        minimumAccuracy: Double? = nil, minimumMacroRecall: Double? = nil, minimumRecalls: [RecallFloor] = [],
        maximumAccuracyDrop: Double? = nil, minimumAgreement: Double? = nil, minimumSliceAccuracy: Double? = nil,
        minimumSliceMacroRecall: Double? = nil, minimumSliceExamples: Int = Gate.usualSliceExamples
    ) {
        self.minimumAccuracy = minimumAccuracy
        self.minimumMacroRecall = minimumMacroRecall
        self.minimumRecalls = minimumRecalls
        self.maximumAccuracyDrop = maximumAccuracyDrop
        self.minimumAgreement = minimumAgreement
        self.minimumSliceAccuracy = minimumSliceAccuracy
        self.minimumSliceMacroRecall = minimumSliceMacroRecall
        self.minimumSliceExamples = minimumSliceExamples
    }

    /// Whether it asks for something that only a reference can tell.
    public var needsReference: Bool { maximumAccuracyDrop != nil || minimumAgreement != nil }

    /// Whether a slice is held to what is asked for.
    public func covers(_ slice: SliceEvaluation) -> Bool { slice.examples >= minimumSliceExamples }

    /// What was missed, a sentence each; nil where nothing was asked for. A NaN fails. What a reference tells is asked of all
    /// texts together, the rest of every slice that is large enough, too.
    public func failures(
        _ metrics: ClassificationMetrics, _ comparison: ReferenceComparison? = nil, slices: [SliceEvaluation] = []
    ) -> [String]? {
        var checks: [(isMet: Bool, failure: String)] = []
        func require(_ name: String, _ value: Double, atLeast minimum: Double?) {
            guard let minimum else { return }
            checks.append((value >= minimum, "\(name) \(value) is under the minimum \(minimum)"))
        }
        require("accuracy", metrics.accuracy, atLeast: minimumAccuracy)
        require("macro recall", metrics.macroRecall, atLeast: minimumMacroRecall)
        for floor in minimumRecalls {
            let figures = metrics.classes[floor.index]
            if figures.support == 0 {
                checks.append((false, "recall of \(floor.label) is unknown: no text has that label"))
            } else {
                require("recall of \(floor.label)", figures.recall, atLeast: floor.minimum)
            }
        }
        precondition(comparison != nil || !needsReference)
        if let comparison {
            require("agreement with the reference", comparison.agreement, atLeast: minimumAgreement)
            if let maximum = maximumAccuracyDrop {
                let interval = comparison.dropInterval
                let isNoise = interval.contains(maximum) ? "; by chance alone it could be the maximum too" : ""
                checks.append(
                    (
                        comparison.accuracyDrop <= maximum,
                        "accuracy fell by \(comparison.accuracyDrop), more than the maximum \(maximum) "
                            + "(95 % interval \(interval.lowerBound) to \(interval.upperBound)\(isNoise))"
                    ))
            }
        }
        for slice in slices where covers(slice) {
            let place = "slice \(slice.name), \(slice.examples) texts:"
            require("\(place) accuracy", slice.metrics.accuracy, atLeast: minimumSliceAccuracy ?? minimumAccuracy)
            require(
                "\(place) macro recall", slice.metrics.macroRecall, atLeast: minimumSliceMacroRecall ?? minimumMacroRecall)
            for floor in minimumRecalls where slice.metrics.classes[floor.index].support >= minimumSliceExamples {
                require(
                    "\(place) recall of \(floor.label)", slice.metrics.classes[floor.index].recall, atLeast: floor.minimum)
            }
        }
        if minimumSliceAccuracy ?? minimumSliceMacroRecall != nil, !slices.contains(where: covers) {
            checks.append((false, "no slice has the \(minimumSliceExamples) texts from which on it is held to a minimum"))
        }
        return checks.isEmpty ? nil : checks.filter { !$0.isMet }.map(\.failure.printable)
    }
}

/// A model beside its reference, another precision or another model, on the same texts.
public struct ReferenceComparison: Sendable {
    public let model: String
    public let precision: String
    public let accuracy: Double
    /// The share of texts that both give the same label.
    public let agreement: Double
    /// The reference's accuracy less the model's, and its 95 % interval.
    public let accuracyDrop: Double
    public let dropInterval: ClosedRange<Double>
    /// Whether one of both is better, by the texts that only one gets right.
    public let test: McNemarTest
    /// The largest of all texts and labels; nil where the two kinds of model have no logits in common.
    public let largestLogitDifference: Double?

    package init(
        model: String, precision: String, accuracy: Double, agreement: Double, accuracyDrop: Double,
        dropInterval: ClosedRange<Double>, test: McNemarTest, largestLogitDifference: Double?
    ) {
        self.model = model
        self.precision = precision
        self.accuracy = accuracy
        self.agreement = agreement
        self.accuracyDrop = accuracyDrop
        self.dropInterval = dropInterval
        self.test = test
        self.largestLogitDifference = largestLogitDifference
    }
}
