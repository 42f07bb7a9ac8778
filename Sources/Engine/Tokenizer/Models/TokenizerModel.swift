/// The stage that turns a piece into token ids: `model` of a tokenizer.json.
protocol TokenizerModel: Sendable {
    /// Appends the ids of a piece, which is not empty.
    func encode(_ piece: UnsafeBufferPointer<UInt8>, into ids: inout [Int])

    /// Appends the ids of all pieces.
    func encode(_ text: StagedText, into ids: inout [Int])

    func id(of token: [UInt8]) -> Int?

    /// What stands for all that the vocabulary lacks; nil where nothing does.
    var unknownToken: Int? { get }

    /// All tokens with their ids.
    var entries: [(token: [UInt8], id: Int)] { get }
    /// How many tokens there are: the id of the first one that is added.
    var count: Int { get }
    var largestID: Int { get }
}

extension TokenizerModel {
    func encode(_ text: StagedText, into ids: inout [Int]) {
        text.bytes.withUnsafeBufferPointer { bytes in
            for piece in text.pieces { encode(UnsafeBufferPointer(rebasing: bytes[piece]), into: &ids) }
        }
    }
}

/// The ids of the tokens `<0x00>` to `<0xFF>`, for what a vocabulary has no other token for.
struct ByteFallback: Sendable {
    private let ids: [Int?]

    init(_ id: ([UInt8]) -> Int?) {
        let digits = Array("0123456789ABCDEF".utf8)
        ids = (0..<256).map { id(Array("<0x".utf8) + [digits[$0 >> 4], digits[$0 & 15]] + Array(">".utf8)) }
    }

    /// Appends the bytes' ids, or nothing where one is missing.
    func append(_ bytes: some Sequence<UInt8>, to ids: inout [Int]) -> Bool {
        let first = ids.count
        for byte in bytes {
            guard let id = self.ids[Int(byte)] else {
                ids.removeLast(ids.count - first)
                return false
            }
            ids.append(id)
        }
        return true
    }
}
