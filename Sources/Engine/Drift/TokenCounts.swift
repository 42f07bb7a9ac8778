import Foundation

/// In how many of the texts that a model was measured on each token stood: of those that stood in two or more, the most
/// frequent ones.
public struct TokenCounts: Sendable, Equatable {
    static let maximumTokens = 5000

    /// By the token's id.
    public let texts: [Int: Int]
    /// In no more texts than this stood any token that is not listed.
    public let unlisted: Int
    public let total: Int

    /// - Parameter tokens: of each text the different ones.
    package init(of tokens: [[Int]]) {
        var counts: [Int: Int] = [:]
        for id in tokens.joined() { counts[id, default: 0] += 1 }
        let sorted = counts.filter { $0.value > 1 }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        unlisted = sorted.count > Self.maximumTokens ? sorted[Self.maximumTokens].value : 1
        texts = Dictionary(uniqueKeysWithValues: sorted.prefix(Self.maximumTokens).map { ($0.key, $0.value) })
        total = tokens.count
    }

    package init(texts: [Int: Int], unlisted: Int, total: Int) {
        self.texts = texts
        self.unlisted = unlisted
        self.total = total
    }

    /// In how many texts it stood, or at most.
    package subscript(id: Int) -> Int { texts[id] ?? unlisted }

    /// Dunning's log-likelihood ratio (1993, "Accurate methods for the statistics of surprise and coincidence") of `count` in
    /// `total` against `other` in `otherTotal`: χ² of one degree of freedom where both have the same share.
    package static func logLikelihoodRatio(_ count: Int, of total: Int, _ other: Int, of otherTotal: Int) -> Double {
        let share = Double(count + other) / Double(total + otherTotal)
        func term(_ observed: Int, _ expected: Double) -> Double {
            observed == 0 ? 0 : Double(observed) * log(Double(observed) / expected)
        }
        func terms(_ count: Int, _ total: Int) -> Double {
            term(count, Double(total) * share) + term(total - count, Double(total) * (1 - share))
        }
        return max(0, 2 * (terms(count, total) + terms(other, otherTotal)))
    }
}
