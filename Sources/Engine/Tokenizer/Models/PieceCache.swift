import Synchronization

/// What a model made of the pieces that it saw last: few words are most of what people write. Of a fixed size, and never waited
/// for.
final class PieceCache: Sendable {
    /// One for each thread that tokenizes at the time, filled once there is one. A further thread does without.
    private let shelves = (0..<8).map { _ in Shelf() }

    /// Appends the ids of the text's pieces.
    func encode(_ text: StagedText, by model: some TokenizerModel, into ids: inout [Int]) {
        text.bytes.withUnsafeBufferPointer { bytes in
            for shelf in shelves {
                let isDone: Void? = shelf.pieces.withLockIfAvailable { pieces in
                    for piece in text.pieces {
                        pieces.encode(UnsafeBufferPointer(rebasing: bytes[piece]), by: model, into: &ids)
                    }
                }
                if isDone != nil { return }
            }
            for piece in text.pieces { model.encode(UnsafeBufferPointer(rebasing: bytes[piece]), into: &ids) }
        }
    }

    private final class Shelf: Sendable {
        let pieces = Mutex(Pieces())
    }

    /// A hash table in which a piece has one place, and takes it from the one that was there.
    private struct Pieces {
        /// A cache line.
        private struct Entry {
            /// The piece's bytes, then 0.
            var bytes = SIMD4<UInt64>()
            var ids = SIMD4<Int32>()
            /// Of the bytes; 0 where nothing is remembered.
            var length: UInt8 = 0
            var count: UInt8 = 0
        }

        /// 2 MiB: eight of ten words of tweets are there.
        private static let count = 1 << 15
        private static let maximumBytes = MemoryLayout<SIMD4<UInt64>>.size
        private static let maximumTokens = SIMD4<Int32>.scalarCount
        private var entries: [Entry] = []

        mutating func encode(
            _ piece: UnsafeBufferPointer<UInt8>, by model: some TokenizerModel, into ids: inout [Int]
        ) {
            guard piece.count <= Self.maximumBytes else { return model.encode(piece, into: &ids) }
            if entries.isEmpty { entries = Array(repeating: Entry(), count: Self.count) }
            var bytes = SIMD4<UInt64>()
            withUnsafeMutableBytes(of: &bytes) { $0.copyMemory(from: UnsafeRawBufferPointer(piece)) }
            let place = Self.place(bytes)
            let entry = entries[place]
            if entry.length == piece.count, entry.bytes == bytes {
                for token in 0..<Int(entry.count) { ids.append(Int(entry.ids[token])) }
                return
            }
            let first = ids.count
            model.encode(piece, into: &ids)
            guard ids.count - first <= Self.maximumTokens else { return }
            var found = Entry(bytes: bytes, length: UInt8(piece.count), count: UInt8(ids.count - first))
            for token in first..<ids.count { found.ids[token - first] = Int32(ids[token]) }
            entries[place] = found
        }

        /// The highest bits, on which all bytes have an influence, of products with odd numbers that have no pattern: the
        /// golden ratio's and π's.
        private static func place(_ bytes: SIMD4<UInt64>) -> Int {
            let mixed =
                (bytes[0] ^ bytes[2] &* 0x243f_6a88_85a3_08d3) &* 0x9e37_79b9_7f4a_7c15
                ^ (bytes[1] ^ bytes[3] &* 0x1319_8a2e_0370_7345) &* 0xa409_3822_299f_31d1
            return Int(mixed >> UInt64(64 - count.trailingZeroBitCount))
        }
    }
}
