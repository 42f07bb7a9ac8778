/// What a model must reach; nil is not asked for. All values are shares, 0 to 1.
public struct Gate: Sendable {
    public var minimumAccuracy: Double?
    public var minimumMacroRecall: Double?
    /// Of the reference's accuracy less the model's.
    public var maximumAccuracyDrop: Double?
    /// Of texts to which model and reference give the same label.
    public var minimumAgreement: Double?

    public init(
        minimumAccuracy: Double? = nil, minimumMacroRecall: Double? = nil, maximumAccuracyDrop: Double? = nil,
        minimumAgreement: Double? = nil
    ) {
        self.minimumAccuracy = minimumAccuracy
        self.minimumMacroRecall = minimumMacroRecall
        self.maximumAccuracyDrop = maximumAccuracyDrop
        self.minimumAgreement = minimumAgreement
    }

    /// Whether it asks for something that only a reference can tell.
    public var needsReference: Bool { maximumAccuracyDrop != nil || minimumAgreement != nil }

    /// What was missed, a sentence each; nil where nothing was asked for. A NaN fails.
    public func failures(_ metrics: ClassificationMetrics, _ comparison: ReferenceComparison? = nil) -> [String]? {
        var checks: [(isMet: Bool, failure: String)] = []
        func require(_ name: String, _ value: Double, atLeast minimum: Double?) {
            guard let minimum else { return }
            checks.append((value >= minimum, "\(name) \(value) is under the minimum \(minimum)"))
        }
        require("accuracy", metrics.accuracy, atLeast: minimumAccuracy)
        require("macro recall", metrics.macroRecall, atLeast: minimumMacroRecall)
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
        return checks.isEmpty ? nil : checks.filter { !$0.isMet }.map(\.failure)
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
    /// The largest of all texts and labels; nil where the two kinds of model have no logits in common.
    public let largestLogitDifference: Double?

    package init(
        model: String, precision: String, accuracy: Double, agreement: Double, accuracyDrop: Double,
        dropInterval: ClosedRange<Double>, largestLogitDifference: Double?
    ) {
        self.model = model
        self.precision = precision
        self.accuracy = accuracy
        self.agreement = agreement
        self.accuracyDrop = accuracyDrop
        self.dropInterval = dropInterval
        self.largestLogitDifference = largestLogitDifference
    }
}
