/// A trie of byte strings, for all pieces that begin at a place of a text. Its edges are one table of open addressing: a
/// node and a byte to the next node.
struct PieceTrie: Sendable {
    /// node << 8 | byte in the upper half, the next node in the lower; 0 is free, as no edge leads to the root.
    private var edges: [UInt64]
    private var edgeCount = 0
    private var shift: UInt64
    /// Of each node the piece that ends there, or -1.
    private var pieces: [Int32] = [-1]

    init(expectedBytes: Int) {
        var bits: UInt64 = 8
        while 1 << bits < expectedBytes { bits += 1 }
        edges = [UInt64](repeating: 0, count: 1 << bits)
        shift = 64 - bits
    }

    /// A piece that stands twice is the last one. False where there are more nodes than fit: 2²⁴.
    mutating func insert(_ text: some Sequence<UInt8>, _ piece: Int) -> Bool {
        var node = 0
        for byte in text {
            let slot = slot(node, byte)
            if edges[slot] != 0 {
                node = Int(edges[slot] & 0xFFFF_FFFF)
                continue
            }
            guard pieces.count < 1 << 24 else { return false }
            let child = pieces.count
            edges[slot] = UInt64(node << 8 | Int(byte)) << 32 | UInt64(child)
            pieces.append(-1)
            edgeCount += 1
            if edgeCount * 3 > edges.count * 2 { grow() }
            node = child
        }
        pieces[node] = Int32(piece)
        return true
    }

    /// Calls `body` with each piece that begins at `start`, the shortest first, and where it ends.
    func forEachPiece(of text: UnsafeBufferPointer<UInt8>, from start: Int, _ body: (Int, Int) -> Void) {
        edges.withUnsafeBufferPointer { edges in
            pieces.withUnsafeBufferPointer { pieces in
                let mask = edges.count - 1
                var node = 0
                var position = start
                while position < text.count {
                    let key = UInt64(node << 8 | Int(text[position]))
                    var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> shift)
                    while edges[slot] != 0, edges[slot] >> 32 != key { slot = (slot + 1) & mask }
                    if edges[slot] == 0 { return }
                    node = Int(edges[slot] & 0xFFFF_FFFF)
                    position += 1
                    if pieces[node] >= 0 { body(Int(pieces[node]), position) }
                }
            }
        }
    }

    /// The piece that is `text`.
    subscript(text: some Sequence<UInt8>) -> Int? {
        var node = 0
        for byte in text {
            let edge = edges[slot(node, byte)]
            if edge == 0 { return nil }
            node = Int(edge & 0xFFFF_FFFF)
        }
        return pieces[node] < 0 ? nil : Int(pieces[node])
    }

    private func slot(_ node: Int, _ byte: UInt8) -> Int {
        let key = UInt64(node << 8 | Int(byte))
        var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> shift)
        while edges[slot] != 0, edges[slot] >> 32 != key { slot = (slot + 1) & (edges.count - 1) }
        return slot
    }

    private mutating func grow() {
        let old = edges
        shift -= 1
        edges = [UInt64](repeating: 0, count: 2 * old.count)
        for edge in old where edge != 0 { edges[slot(Int(edge >> 40), UInt8(edge >> 32 & 0xFF))] = edge }
    }
}
