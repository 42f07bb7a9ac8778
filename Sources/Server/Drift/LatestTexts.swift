import DequeModule
import Engine

extension DriftMonitor {
    /// A token that stands in more of the texts now than it did in the reference profile's.
    package struct RisenToken: Sendable {
        package let id: Int
        /// Of the requests, each counted once whatever the number of its texts.
        package let requests: Int
        /// Of the texts.
        package let share: Double
        /// Then; of a token that the profile does not list the most it can have been.
        package let referenceShare: Double
        /// G²: how surely it rose.
        package let logLikelihoodRatio: Double
    }

    /// Tokens and embeddings of the latest texts of the window, at most 10,000: with a tweet's 25 different tokens 3 MB, with
    /// the 512 that are counted of a text at most 22 MB, and 8 bytes a token of the vocabulary.
    struct LatestTexts: Sendable {
        static let maximumTexts = 10_000
        /// A token of fewer requests could be somebody's own.
        static let leastRequests = 20
        static let mostTokens = 20
        /// χ² of one degree of freedom goes beyond it once in a million times by chance: a vocabulary has tens of thousands.
        static let leastRatio = 24.0

        struct Text: Sendable {
            /// Of each twice the token's id; one more where it is the first of its request's texts that has it.
            let tokens: [UInt32]
            /// Whitened; zero where the reference has none.
            let sketch: EmbeddingSketch.Vector
        }

        private var texts: Deque<Text> = []
        private(set) var sums = EmbeddingSums()
        /// By token id.
        private var counts: [Count] = []

        private struct Count {
            var texts: Int32 = 0
            var requests: Int32 = 0
        }

        /// What is kept of a request's texts.
        static func texts(
            _ predictions: [Prediction], _ traits: [TextTraits], _ reference: EmbeddingDistribution?
        ) -> [Text] {
            var seen: Set<Int> = []
            return zip(predictions, traits).map { prediction, traits in
                let tokens = traits.tokens.map { id in
                    let isFirst = predictions.count == 1 || seen.insert(id).inserted
                    return UInt32(id) << 1 | (isFirst ? 1 : 0)
                }
                return Text(tokens: tokens, sketch: reference?.whitened(prediction.sketch) ?? .zero)
            }
        }

        mutating func append(_ text: Text) {
            texts.append(text)
            if let last = text.tokens.last, last >> 1 >= counts.count {
                counts += Array(repeating: Count(), count: Int(last >> 1) + 1 - counts.count)
            }
            count(text, 1)
            sums.add(text.sketch)
        }

        /// Forgets all but the latest `limit`.
        mutating func keep(_ limit: Int) {
            while texts.count > min(limit, Self.maximumTexts) {
                let oldest = texts.removeFirst()
                count(oldest, -1)
                sums.remove(oldest.sketch)
            }
            // Nothing of what rounding left.
            if texts.isEmpty { sums = EmbeddingSums() }
        }

        private mutating func count(_ text: Text, _ change: Int32) {
            for token in text.tokens {
                counts[Int(token >> 1)].texts += change
                counts[Int(token >> 1)].requests += token & 1 == 1 ? change : 0
            }
        }

        func risenTokens(against reference: TokenCounts) -> [RisenToken] {
            var risen: [RisenToken] = []
            for (id, count) in counts.enumerated() where count.requests >= Self.leastRequests {
                let (live, then) = (Int(count.texts), reference[id])
                let (share, referenceShare) = (Double(live) / Double(texts.count), Double(then) / Double(reference.total))
                let ratio = TokenCounts.logLikelihoodRatio(live, of: texts.count, then, of: reference.total)
                guard share > referenceShare, ratio >= Self.leastRatio else { continue }
                risen.append(
                    RisenToken(
                        id: id, requests: Int(count.requests), share: share, referenceShare: referenceShare,
                        logLikelihoodRatio: ratio))
            }
            return Array(risen.sorted { $0.logLikelihoodRatio > $1.logLikelihoodRatio }.prefix(Self.mostTokens))
        }
    }
}
