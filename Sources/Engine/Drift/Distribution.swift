import Foundation

/// How often each of a feature's bins was seen.
public struct Distribution: Sendable, Equatable {
    public package(set) var counts: [Int]

    public init(counts: [Int]) { self.counts = counts }

    /// With nothing in any of so many bins.
    public init(bins: Int) { counts = Array(repeating: 0, count: bins) }

    public var total: Int { counts.reduce(0, +) }

    /// Each bin's share, half a count added to every bin, so that a bin nobody fell into yet has no logarithm of zero.
    /// (Krichevsky–Trofimov: (c + 1/2) / (n + bins / 2).)
    public var shares: [Double] {
        let sum = Double(total) + 0.5 * Double(counts.count)
        return counts.map { (Double($0) + 0.5) / sum }
    }

    /// The population stability index Σ (p − q) · ln(p / q) of this and a reference with as many bins. Rules of thumb:
    /// under 0.1 no change, over 0.2 a change to look into.
    public func stabilityIndex(against reference: Distribution) -> Double {
        precondition(counts.count == reference.counts.count)
        return zip(shares, reference.shares).reduce(0) { $0 + ($1.0 - $1.1) * log($1.0 / $1.1) }
    }

    /// The Jensen-Shannon distance, 0 to 1: the root of the divergence in bits, as SciPy's
    /// `jensenshannon(p, q, base=2)`.
    public func jensenShannonDistance(to reference: Distribution) -> Double {
        precondition(counts.count == reference.counts.count)
        let divergence = zip(shares, reference.shares).reduce(0.0) { sum, pair in
            let mean = (pair.0 + pair.1) / 2
            return sum + (pair.0 * log2(pair.0 / mean) + pair.1 * log2(pair.1 / mean)) / 2
        }
        return max(0, divergence).squareRoot()
    }
}

/// A histogram's bins: bin i holds edges[i − 1] ≤ x < edges[i]; the first and the last one are open.
public struct Bins: Sendable, Equatable {
    /// Ascending.
    public let edges: [Double]

    public init(edges: [Double]) { self.edges = edges }

    public var count: Int { edges.count + 1 }

    public func index(of value: Double) -> Int { edges.firstIndex { value < $0 } ?? edges.count }

    /// Bins that hold about a tenth of `values` each; fewer where values repeat.
    public static func deciles(of values: [Double]) -> Bins {
        let sorted = values.sorted()
        var edges: [Double] = []
        for tenth in 1..<10 where !sorted.isEmpty {
            let edge = sorted[sorted.count * tenth / 10]
            if edge > edges.last ?? sorted[0] { edges.append(edge) }
        }
        return Bins(edges: edges)
    }
}
