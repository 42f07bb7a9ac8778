/// McNemar's exact test of two models on the same texts: whether the texts that only one of them gets right are split as by
/// tosses of a coin. Texts that both or neither gets right say nothing of which is better.
public struct McNemarTest: Sendable, Equatable {
    /// How many texts the model alone gets right, and the reference alone.
    public let modelOnly: Int
    public let referenceOnly: Int
    /// Two-sided: the chance of so uneven a split, or a more uneven one, between models that are equally good.
    public let pValue: Double

    public init(modelOnly: Int, referenceOnly: Int) {
        precondition(modelOnly >= 0 && referenceOnly >= 0)
        self.modelOnly = modelOnly
        self.referenceOnly = referenceOnly
        pValue = Self.pValue(min(modelOnly, referenceOnly), of: modelOnly + referenceOnly)
    }

    /// - Parameters: for each text, whether its label is right; as many of both.
    public init(model: [Bool], reference: [Bool]) {
        precondition(model.count == reference.count)
        self.init(
            modelOnly: zip(model, reference).count { $0 && !$1 }, referenceOnly: zip(model, reference).count { !$0 && $1 })
    }

    /// min(1, 2 · Σ k ≤ fewer of C(n, k) / 2ⁿ): the largest term by its logarithm, each other as a part of the one above it, so
    /// that no count is too large.
    private static func pValue(_ fewer: Int, of count: Int) -> Double {
        guard 2 * fewer < count else { return 1 }
        var logarithm = -Double(count) * ReproducibleMath.log(2)
        for index in 0..<fewer { logarithm += ReproducibleMath.log(Double(count - index) / Double(index + 1)) }
        var (sum, term, k) = (1.0, 1.0, fewer)
        while k > 0, term > 1e-17 {
            term *= Double(k) / Double(count - k + 1)
            sum += term
            k -= 1
        }
        return min(1, 2 * sum * ReproducibleMath.exp(logarithm))
    }

    var json: JSONValue {
        ["model_only": .integer(modelOnly), "reference_only": .integer(referenceOnly), "p_value": .number(pValue)]
    }
}
