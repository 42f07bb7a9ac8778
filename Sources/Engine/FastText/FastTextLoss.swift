/// How products become probabilities: `loss.cc`, whose `predict` gives exp(log(p + 1e-5)) for a probability p. So does this,
/// except for more than 1: softmax' probabilities add up to a little over 1, and those of one-vs-all and negative sampling
/// are each label's own.
struct FastTextLoss: Sendable {
    private static let logOffset: Float = 1e-5
    // The library's table of the sigmoid function: no interpolation, 0 and 1 outside.
    private static let sigmoidEntries: Float = 512
    private static let largestSigmoid: Float = 8

    private enum Form: Sendable {
        case softmax(InstructionSet)
        case sigmoid(table: [Float])
        case tree(HuffmanTree)
    }

    private let form: Form

    init(
        _ loss: FastTextModel.Loss, labelCounts: [Int], on instructionSet: InstructionSet, _ reader: FastTextReader
    ) throws(InputError) {
        switch loss {
        case .softmax: form = .softmax(instructionSet)
        case .oneVsAll, .negativeSampling:
            let table = (0...Int(Self.sigmoidEntries)).map { entry in
                let x = Float(entry) * 2 * Self.largestSigmoid / Self.sigmoidEntries - Self.largestSigmoid
                return Float(1 / (1 + ReproducibleMath.exp(-Double(x))))
            }
            form = .sigmoid(table: table)
        case .hierarchicalSoftmax: form = .tree(try HuffmanTree(labelCounts, reader))
        }
    }

    /// The length of `nodes` for `score`.
    var nodeCount: Int {
        if case .tree(let tree) = form { tree.nodeCount } else { 0 }
    }

    /// logits: in, the products with the output matrix; out, one a label.
    func score(_ logits: inout [Float], nodes: inout [Double], into probabilities: inout [Float]) {
        switch form {
        case .softmax(let instructionSet):
            for label in logits.indices { probabilities[label] = logits[label] }
            instructionSet.softmax(&probabilities)
            for label in logits.indices { probabilities[label] = min(probabilities[label] + Self.logOffset, 1) }
        case .sigmoid(let table):
            for label in logits.indices {
                probabilities[label] = min(Self.sigmoid(logits[label], table) + Self.logOffset, 1)
            }
        case .tree(let tree):
            tree.score(&logits, nodes: &nodes, offset: Double(Self.logOffset), into: &probabilities)
        }
    }

    private static func sigmoid(_ x: Float, _ table: [Float]) -> Float {
        guard x >= -largestSigmoid else { return x.isNaN ? x : 0 }
        guard x <= largestSigmoid else { return 1 }
        return table[Int((x + largestSigmoid) * sigmoidEntries / largestSigmoid / 2)]
    }
}

/// The tree of a hierarchical softmax: frequent labels near the root. A label's probability is the product of the
/// decisions on its path; each inner node's row decides between left and right.
struct HuffmanTree: Sendable {
    private struct Node: Sendable {
        let left: Int32
        let right: Int32
    }

    /// What the library counts nodes as that it has not built yet.
    private static let unbuilt = 1_000_000_000_000_000

    private let labels: Int
    /// Inner node i, which is node `labels` + i of all; the root is the last. Children come before their parents.
    private let inner: [Node]

    /// As `buildTree`: two pointers, one down the labels (sorted by count, largest first), one up the inner nodes.
    init(_ counts: [Int], _ reader: FastTextReader) throws(InputError) {
        labels = counts.count
        // Larger ones would have it take nodes that are not built yet.
        var sum = 0
        for (label, count) in counts.enumerated() {
            guard count >= 0, count < Self.unbuilt - sum else {
                throw reader.damaged("label \(label) has a count of \(count)")
            }
            sum += count
        }
        var nodeCounts = counts + Array(repeating: Self.unbuilt, count: max(0, counts.count - 1))
        var inner: [Node] = []
        var leaf = counts.count - 1
        var node = counts.count
        for parent in counts.count..<nodeCounts.count {
            func next() -> Int {
                if leaf >= 0, nodeCounts[leaf] < nodeCounts[node] {
                    leaf -= 1
                    return leaf + 1
                }
                node += 1
                return node - 1
            }
            let (left, right) = (next(), next())
            nodeCounts[parent] = nodeCounts[left] + nodeCounts[right]
            inner.append(Node(left: Int32(left), right: Int32(right)))
        }
        self.inner = inner
    }

    var nodeCount: Int { labels + inner.count }

    /// nodes: [nodeCount], the products of decisions from the root down. Each decision's probability is raised by `offset`,
    /// as the library does.
    func score(_ logits: inout [Float], nodes: inout [Double], offset: Double, into probabilities: inout [Float]) {
        nodes[nodeCount - 1] = 1
        for index in inner.indices.reversed() {
            let right = 1 / (1 + ReproducibleMath.exp(-Double(logits[index])))
            let reached = nodes[labels + index]
            nodes[Int(inner[index].left)] = reached * (1 - right + offset)
            nodes[Int(inner[index].right)] = reached * (right + offset)
        }
        for label in 0..<labels {
            probabilities[label] = Float(min(nodes[label], 1))
            // A long path of unlikely decisions may come to nothing in a double.
            logits[label] = Float(ReproducibleMath.log(max(nodes[label], .leastNormalMagnitude)))
        }
    }
}
