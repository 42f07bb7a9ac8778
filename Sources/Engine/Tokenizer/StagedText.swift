/// A stretch of text between added tokens on its way through the stages: bytes (UTF-8) that normalizers rewrite, then the
/// pieces into which pre-tokenizers cut them. Its buffers are reused from stretch to stretch.
struct StagedText {
    private(set) var bytes: [UInt8] = []
    /// Ascending and not empty.
    private(set) var pieces: [Range<Int>] = []
    /// Whether the first byte stands for the first one of the whole text, as far as `prepend_scheme: first` asks.
    var isAtTextStart = false
    private var spareBytes: [UInt8] = []
    private var sparePieces: [Range<Int>] = []

    mutating func start(_ text: some Collection<UInt8>, isAtTextStart: Bool) {
        bytes.removeAll(keepingCapacity: true)
        bytes.append(contentsOf: text)
        self.isAtTextStart = isAtTextStart
    }

    /// Before the pre-tokenizers: the whole as one piece.
    mutating func becomeOnePiece() {
        pieces.removeAll(keepingCapacity: true)
        if !bytes.isEmpty { pieces.append(0..<bytes.count) }
    }

    /// Calls `body` with the text and an empty buffer, which takes the text's place.
    mutating func rewrite(_ body: (UnsafeBufferPointer<UInt8>, inout [UInt8]) -> Void) {
        spareBytes.removeAll(keepingCapacity: true)
        bytes.withUnsafeBufferPointer { body($0, &spareBytes) }
        swap(&bytes, &spareBytes)
    }

    /// Calls `body` with the text and each piece; what it appends takes the piece's place.
    mutating func split(_ body: (UnsafeBufferPointer<UInt8>, Range<Int>, inout [Range<Int>]) -> Void) {
        sparePieces.removeAll(keepingCapacity: true)
        bytes.withUnsafeBufferPointer { text in
            for piece in pieces { body(text, piece, &sparePieces) }
        }
        swap(&pieces, &sparePieces)
    }

    /// As `split`, for what changes the pieces' bytes, too: `body` appends both. It is told whether a piece begins the
    /// whole text.
    mutating func rewritePieces(
        _ body: (UnsafeBufferPointer<UInt8>, Bool, inout [UInt8], inout [Range<Int>]) -> Void
    ) {
        sparePieces.removeAll(keepingCapacity: true)
        spareBytes.removeAll(keepingCapacity: true)
        isAtTextStart = isAtTextStart && pieces.first?.lowerBound == 0
        bytes.withUnsafeBufferPointer { text in
            for (index, piece) in pieces.enumerated() {
                let isFirst = index == 0 && isAtTextStart
                body(UnsafeBufferPointer(rebasing: text[piece]), isFirst, &spareBytes, &sparePieces)
            }
        }
        swap(&pieces, &sparePieces)
        swap(&bytes, &spareBytes)
    }
}

extension [UInt8] {
    mutating func append(scalar: UInt32) {
        switch scalar {
        case 0..<0x80: append(UInt8(scalar))
        case 0..<0x800:
            append(UInt8(0xC0 | scalar >> 6))
            append(UInt8(0x80 | scalar & 0x3F))
        case 0..<0x10000:
            append(UInt8(0xE0 | scalar >> 12))
            append(UInt8(0x80 | scalar >> 6 & 0x3F))
            append(UInt8(0x80 | scalar & 0x3F))
        default:
            append(UInt8(0xF0 | scalar >> 18 & 7))
            append(UInt8(0x80 | scalar >> 12 & 0x3F))
            append(UInt8(0x80 | scalar >> 6 & 0x3F))
            append(UInt8(0x80 | scalar & 0x3F))
        }
    }
}
