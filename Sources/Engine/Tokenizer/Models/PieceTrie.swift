/// A trie of byte strings, for all pieces that begin at a place of a text. Its nodes stand in the order of their depth, the
/// children of one side by side: the few that most texts touch share their cache lines.
struct PieceTrie: Sendable {
    /// All that a step needs, in one word: what it reads of a child is the child.
    struct Node: Sendable {
        fileprivate var bits: UInt64 = 0

        /// The place of the first of its children.
        fileprivate var firstChild: Int { Int(bits & 0xFF_FFFF) }
        /// The piece that ends here, or -1.
        @inline(__always)
        var piece: Int { Int(bits >> 24 & 0xFF_FFFF) - 1 }
        /// The byte that leads here.
        fileprivate var label: UInt8 { UInt8(truncatingIfNeeded: bits >> 48) }
        /// How many children there are; of 256, which only the root may have, 0.
        fileprivate var childCount: Int { Int(bits >> 56) }

        fileprivate mutating func setFirstChild(_ place: Int) { bits |= UInt64(place) }
        fileprivate mutating func setPiece(_ piece: Int32) { bits = bits & ~(0xFF_FFFF << 24) | UInt64(piece + 1) << 24 }
        fileprivate mutating func setLabel(_ label: UInt8) { bits |= UInt64(label) << 48 }
        fileprivate mutating func setChildCount(_ count: Int) { bits |= UInt64(count & 0xFF) << 56 }
    }

    /// More bytes of pieces might be more nodes than a node can name.
    static let maximumBytes = 1 << 24 - 2

    private var nodes: [Node] = []
    /// The children of the root by their bytes; empty where there is none.
    private var first = [Node](repeating: Node(), count: 256)

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
        nodes = [Node()]
        var depth = 0
        var firstOfLevel = 0
        while !level.isEmpty {
            var next: [Range<Int>] = []
            for (offset, keysOfNode) in level.enumerated() {
                let node = firstOfLevel + offset
                let firstChild = firstOfLevel + level.count + next.count
                nodes[node].setFirstChild(firstChild)
                var index = keysOfNode.lowerBound
                while index < keysOfNode.upperBound, range(keys[index].piece).count == depth {
                    nodes[node].setPiece(keys[index].piece)
                    index += 1
                }
                while index < keysOfNode.upperBound {
                    let label = bytes[range(keys[index].piece).lowerBound + depth]
                    let start = index
                    repeat {
                        index += 1
                    } while index < keysOfNode.upperBound
                        && bytes[range(keys[index].piece).lowerBound + depth] == label
                    next.append(start..<index)
                    var child = Node()
                    child.setLabel(label)
                    nodes.append(child)
                }
                nodes[node].setChildCount(firstOfLevel + level.count + next.count - firstChild)
            }
            firstOfLevel += level.count
            level = next
            depth += 1
        }
        // Those of the root, of which there may be too many for their count, are looked up.
        var child = nodes[0].firstChild
        var last = -1
        while child < nodes.count, Int(nodes[child].label) > last {
            last = Int(nodes[child].label)
            first[last] = nodes[child]
            child += 1
            if child - nodes[0].firstChild == nodes[0].childCount { break }
        }
    }

    /// Reads the trie without a check of who else holds it at each step.
    struct Reader {
        fileprivate let nodes: UnsafeBufferPointer<Node>
        fileprivate let first: UnsafeBufferPointer<Node>

        /// The root's child by `byte`.
        @inline(__always)
        func start(_ byte: UInt8) -> Node? { first[Int(byte)].bits == 0 ? nil : first[Int(byte)] }

        /// The node behind `node` by `byte`, nil where there is none.
        @inline(__always)
        func child(_ node: Node, _ byte: UInt8) -> Node? {
            var low = node.firstChild
            var high = low + node.childCount
            while high - low > 8 {
                let middle = (low + high) / 2
                if nodes[middle].label <= byte { low = middle } else { high = middle }
            }
            while low < high {
                if nodes[low].label == byte { return nodes[low] }
                low += 1
            }
            return nil
        }
    }

    func withReader<Result>(_ body: (Reader) -> Result) -> Result {
        nodes.withUnsafeBufferPointer { nodes in
            first.withUnsafeBufferPointer { first in body(Reader(nodes: nodes, first: first)) }
        }
    }

    /// The piece that is `text`.
    subscript(text: some Sequence<UInt8>) -> Int? {
        withReader { reader in
            var node: Node?
            for byte in text {
                guard let child = node.map({ reader.child($0, byte) }) ?? reader.start(byte) else { return nil }
                node = child
            }
            guard let node, node.piece >= 0 else { return nil }
            return node.piece
        }
    }
}
