/// A trie of byte strings, for all pieces that begin at a place of a text. Its nodes stand in the order of their depth, the
/// children of one side by side: the few that most texts touch share their cache lines.
struct PieceTrie: Sendable {
    struct Node: Sendable {
        /// Its children end where those of the next node begin.
        var firstChild: UInt32
        /// The piece that ends here, or -1.
        var piece: Int32
    }

    private var nodes: [Node] = []
    /// The byte that leads to each node.
    private var labels: [UInt8] = []
    /// The children of the root by their bytes; 0 where there is none.
    private var first = [UInt32](repeating: 0, count: 256)

    /// - Parameters:
    ///   - bytes: the pieces' bytes, one after the other; piece i ends before `ends[i]`.
    init(bytes: [UInt8], ends: [Int32]) {
        bytes.withUnsafeBufferPointer { bytes in
            ends.withUnsafeBufferPointer { ends in build(bytes, ends) }
        }
    }

    private struct Key {
        let prefix: UInt64
        let piece: Int32
    }

    /// Level by level over the sorted pieces. One that stands twice is the last one.
    private mutating func build(_ bytes: UnsafeBufferPointer<UInt8>, _ ends: UnsafeBufferPointer<Int32>) {
        func range(_ piece: Int32) -> Range<Int> { (piece == 0 ? 0 : Int(ends[Int(piece) - 1]))..<Int(ends[Int(piece)]) }
        var keys = (0..<Int32(ends.count)).map { piece in
            let range = range(piece)
            var prefix: UInt64 = 0
            for offset in 0..<8 {
                prefix = prefix << 8 | UInt64(offset < range.count ? bytes[range.lowerBound + offset] : 0)
            }
            return Key(prefix: prefix, piece: piece)
        }
        keys.sort { a, b in
            if a.prefix != b.prefix { return a.prefix < b.prefix }
            let (left, right) = (range(a.piece), range(b.piece))
            var index = 0
            while index < left.count, index < right.count {
                let (x, y) = (bytes[left.lowerBound + index], bytes[right.lowerBound + index])
                if x != y { return x < y }
                index += 1
            }
            return (left.count, a.piece) < (right.count, b.piece)
        }
        var level = [0..<keys.count]
        nodes = [Node(firstChild: 0, piece: -1)]
        labels = [0]
        var depth = 0
        var firstOfLevel = 0
        while !level.isEmpty {
            var next: [Range<Int>] = []
            for (offset, keysOfNode) in level.enumerated() {
                nodes[firstOfLevel + offset].firstChild = UInt32(firstOfLevel + level.count + next.count)
                var index = keysOfNode.lowerBound
                while index < keysOfNode.upperBound, range(keys[index].piece).count == depth {
                    nodes[firstOfLevel + offset].piece = keys[index].piece
                    index += 1
                }
                while index < keysOfNode.upperBound {
                    let label = bytes[range(keys[index].piece).lowerBound + depth]
                    let start = index
                    repeat { index += 1 } while index < keysOfNode.upperBound
                        && bytes[range(keys[index].piece).lowerBound + depth] == label
                    next.append(start..<index)
                    labels.append(label)
                }
            }
            firstOfLevel += level.count
            nodes.append(contentsOf: repeatElement(Node(firstChild: 0, piece: -1), count: next.count))
            level = next
            depth += 1
        }
        nodes.append(Node(firstChild: UInt32(nodes.count), piece: -1))
        // The empty piece ends at the root, which no text reaches.
        for child in Int(nodes[0].firstChild)..<Int(nodes[1].firstChild) { first[Int(labels[child])] = UInt32(child) }
    }

    /// Reads the trie without a check of who else holds it at each step.
    struct Reader {
        let nodes: UnsafeBufferPointer<Node>
        let labels: UnsafeBufferPointer<UInt8>
        let first: UnsafeBufferPointer<UInt32>

        /// The node behind `node` by `byte`, nil where there is none; the root is 0.
        @inline(__always)
        func child(_ node: Int, _ byte: UInt8) -> Int? {
            if node == 0 { return first[Int(byte)] == 0 ? nil : Int(first[Int(byte)]) }
            var low = Int(nodes[node].firstChild)
            var high = Int(nodes[node + 1].firstChild)
            while high - low > 8 {
                let middle = (low + high) / 2
                if labels[middle] <= byte { low = middle } else { high = middle }
            }
            while low < high {
                if labels[low] == byte { return low }
                low += 1
            }
            return nil
        }
    }

    func withReader<Result>(_ body: (Reader) -> Result) -> Result {
        nodes.withUnsafeBufferPointer { nodes in
            labels.withUnsafeBufferPointer { labels in
                first.withUnsafeBufferPointer { first in
                    body(Reader(nodes: nodes, labels: labels, first: first))
                }
            }
        }
    }

    /// The piece that is `text`.
    subscript(text: some Sequence<UInt8>) -> Int? {
        withReader { reader in
            var node = 0
            for byte in text {
                guard let child = reader.child(node, byte) else { return nil }
                node = child
            }
            return node == 0 || reader.nodes[node].piece < 0 ? nil : Int(reader.nodes[node].piece)
        }
    }
}
