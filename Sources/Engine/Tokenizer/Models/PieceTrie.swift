/// A trie of byte strings, for all pieces that begin at a place of a text: a double array (Aoe 1989), in which a node's child
/// by a byte is one look away, and whose leaves hold the rest of their piece.
struct PieceTrie: Sendable {
    /// All that a step needs, side by side.
    struct Node: Sendable {
        /// Of the piece that ends here.
        fileprivate(set) var score = 0.0
        /// From the lowest: base or rest, 31 bits; whether this is a leaf; the piece that ends here + 1, 24 bits; the byte that
        /// leads here, 8 bits.
        fileprivate var bits: UInt64 = 0

        fileprivate init() {}
        fileprivate init(label: UInt8, piece: Int32, _ scores: [Double]) {
            bits = UInt64(label) << 56 | UInt64(piece + 1) << 32
            if piece >= 0 { score = scores[Int(piece)] }
        }

        /// The child by a byte stands at this place XOR the byte: within one block of 256. No two nodes have the same, so the
        /// byte alone tells a node's child from another's.
        fileprivate var base: Int {
            get { Int(bits & 0x7FFF_FFFF) }
            set { bits |= UInt64(newValue) }
        }
        /// What of a leaf's piece follows: up to 127 bytes of the pieces'. Its piece ends behind them.
        fileprivate var rest: Range<Int> {
            get { Int(bits & 0xFF_FFFF)..<Int(bits & 0xFF_FFFF + bits >> 24 & 0x7F) }
            set { bits |= UInt64(newValue.lowerBound) | UInt64(newValue.count) << 24 | 1 << 31 }
        }
        fileprivate static let longestRest = 0x7F
        @inline(__always)
        var isLeaf: Bool { bits >> 31 & 1 == 1 }
        /// The piece that ends here, or -1.
        @inline(__always)
        var piece: Int { Int(bits >> 32 & 0xFF_FFFF) - 1 }
        /// Whether this is the child by `byte` of the node that led here; a free place, all of whose bits are 0, is none.
        @inline(__always)
        fileprivate func isChild(by byte: UInt8) -> Bool { bits >> 56 == UInt64(byte) && bits != 0 }
    }

    /// Of all pieces, and the most pieces: what 24 bits can tell. Each node that is no leaf has two pieces behind it, or a long
    /// rest, so there are at most half as many; with a block of 256 places each their bases fit 31 bits.
    static let maximumBytes = 1 << 24 - 2

    /// Those of the root, which is none of them, have the base 0.
    private var nodes: [Node] = []
    private let bytes: [UInt8]

    /// - Parameters:
    ///   - bytes: the pieces' bytes, one after the other; piece i ends before `ends[i]`.
    init(bytes: [UInt8], ends: [Int32], scores: [Double]) {
        self.bytes = bytes
        bytes.withUnsafeBufferPointer { bytes in
            ends.withUnsafeBufferPointer { ends in build(bytes, ends, scores) }
        }
    }

    private struct Key {
        /// The first 8 bytes, which save most looks at the others.
        let prefix: UInt64
        let count: Int32
        let piece: Int32
    }

    /// Level by level over the sorted pieces: the few nodes that most texts touch share their cache lines. A piece that
    /// stands twice is the last one.
    private mutating func build(
        _ bytes: UnsafeBufferPointer<UInt8>, _ ends: UnsafeBufferPointer<Int32>, _ scores: [Double]
    ) {
        func start(_ piece: Int32) -> Int { piece == 0 ? 0 : Int(ends[Int(piece) - 1]) }
        func byte(_ key: Key, _ depth: Int) -> UInt8 {
            depth < 8
                ? UInt8(truncatingIfNeeded: key.prefix >> UInt64(56 - 8 * depth)) : bytes[start(key.piece) + depth]
        }
        var keys = (0..<Int32(ends.count)).map { piece in
            let (start, end) = (start(piece), Int(ends[Int(piece)]))
            var prefix: UInt64 = 0
            for place in start..<start + 8 { prefix = prefix << 8 | UInt64(place < end ? bytes[place] : 0) }
            return Key(prefix: prefix, count: Int32(end - start), piece: piece)
        }
        keys.sort { a, b in
            if a.prefix != b.prefix { return a.prefix < b.prefix }
            var depth = 8
            while depth < min(a.count, b.count) {
                let (x, y) = (byte(a, depth), byte(b, depth))
                if x != y { return x < y }
                depth += 1
            }
            return (a.count, a.piece) < (b.count, b.piece)
        }
        var places = DoubleArrayPlaces()
        var level: [(node: Int?, keys: Range<Int>)] = [(nil, keys.indices)]
        var labels: [UInt8] = []
        var depth = 0
        while !level.isEmpty {
            var next: [(node: Int?, keys: Range<Int>)] = []
            for (node, keysOfNode) in level {
                // Those that end here come first.
                var index = keysOfNode.lowerBound
                while index < keysOfNode.upperBound, keys[index].count == depth { index += 1 }
                let ending = index > keysOfNode.lowerBound ? keys[index - 1].piece : -1
                if let node {
                    let isLeaf = index == keysOfNode.upperBound
                    let last = keys[keysOfNode.upperBound - 1]
                    if isLeaf || keysOfNode.count == 1 && Int(last.count) - depth <= Node.longestRest {
                        nodes[node] = Node(label: byte(last, depth - 1), piece: last.piece, scores)
                        nodes[node].rest = start(last.piece) + depth..<start(last.piece) + Int(last.count)
                        continue
                    }
                    nodes[node] = Node(label: byte(last, depth - 1), piece: ending, scores)
                }
                labels.removeAll(keepingCapacity: true)
                let firstChild = next.count
                while index < keysOfNode.upperBound {
                    let start = index
                    let label = byte(keys[start], depth)
                    repeat { index += 1 } while index < keysOfNode.upperBound && byte(keys[index], depth) == label
                    labels.append(label)
                    next.append((nil, start..<index))
                }
                let base = node == nil ? 0 : places.base(for: labels)
                places.take(base, labels)
                while nodes.count < places.count { nodes.append(Node()) }
                for (offset, label) in labels.enumerated() { next[firstChild + offset].node = base ^ Int(label) }
                if let node { nodes[node].base = base }
            }
            level = next
            depth += 1
        }
    }

    /// Reads the trie without a check of who else holds it at each step.
    struct Reader {
        fileprivate let nodes: UnsafeBufferPointer<Node>
        fileprivate let bytes: UnsafeBufferPointer<UInt8>

        /// The root's child by `byte`.
        @inline(__always)
        func start(_ byte: UInt8) -> Node? { child(base: 0, byte) }

        /// The node behind `node`, which is no leaf, by `byte`; nil where there is none.
        @inline(__always)
        func child(_ node: Node, _ byte: UInt8) -> Node? { child(base: node.base, byte) }

        @inline(__always)
        private func child(base: Int, _ byte: UInt8) -> Node? {
            let child = nodes[base ^ Int(byte)]
            return child.isChild(by: byte) ? child : nil
        }

        /// Where the piece of a leaf ends to which the text before `position` leads; nil where the text goes on otherwise.
        @inline(__always)
        func end(of leaf: Node, _ text: UnsafeBufferPointer<UInt8>, from position: Int) -> Int? {
            let rest = leaf.rest
            guard rest.count <= text.count - position else { return nil }
            var end = position
            for place in rest {
                guard bytes[place] == text[end] else { return nil }
                end += 1
            }
            return end
        }
    }

    func withReader<Result>(_ body: (Reader) -> Result) -> Result {
        nodes.withUnsafeBufferPointer { nodes in
            bytes.withUnsafeBufferPointer { bytes in body(Reader(nodes: nodes, bytes: bytes)) }
        }
    }

    /// The piece that is `text`.
    subscript(text: UnsafeBufferPointer<UInt8>) -> Int? {
        withReader { reader in
            var node: Node?
            for (position, byte) in text.enumerated() {
                guard let child = node.map({ reader.child($0, byte) }) ?? reader.start(byte) else { return nil }
                if child.isLeaf {
                    return reader.end(of: child, text, from: position + 1) == text.count ? child.piece : nil
                }
                node = child
            }
            return node.flatMap { $0.piece < 0 ? nil : $0.piece }
        }
    }

    subscript(text: [UInt8]) -> Int? { text.withUnsafeBufferPointer { self[$0] } }
}
