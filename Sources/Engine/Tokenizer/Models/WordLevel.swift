/// `WordLevel`: a piece is a token, or unknown.
struct WordLevel: TokenizerModel {
    let vocabulary: TokenTable
    let unknownID: Int

    func encode(_ piece: UnsafeBufferPointer<UInt8>, into ids: inout [Int]) {
        ids.append(vocabulary.id(of: piece, hash: TokenTable.hash(piece)) ?? unknownID)
    }

    func id(of token: [UInt8]) -> Int? { vocabulary[token] }
    var entries: [(token: [UInt8], id: Int)] { vocabulary.entries }
    var count: Int { vocabulary.count }
    var unknownToken: Int? { unknownID }
    var largestID: Int { vocabulary.largestID }
}
