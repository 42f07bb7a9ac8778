/// Several texts' token ids, one behind the other without padding. Filled anew for each pass, in the memory of the last.
package struct TokenBatch {
    /// How an architecture numbers the positions of a text.
    package enum Positions: Sendable {
        /// BERT: 0, 1, 2, …
        case fromZero
        /// RoBERTa: from padID + 1 on; a `<pad>` in the text has position padID and is not counted.
        case afterPadding(padID: Int)
    }

    package private(set) var ids: [Int] = []
    /// Rows of the model's `PositionTable`: positions, behind those of type 0 those of type 1.
    package private(set) var positionIDs: [Int] = []
    /// Each text's rows in `ids`; none is empty.
    package private(set) var sequences: [Range<Int>] = []
    private let positions: Positions
    private let secondOffset: Int

    /// - Parameters:
    ///   - secondOffset: what is added to the positions of tokens of type 1; see `PositionTable`.
    ///   - tokens: how many there is room for.
    package init(_ positions: Positions, secondOffset: Int, tokens: Int) {
        self.positions = positions
        self.secondOffset = secondOffset
        ids.reserveCapacity(tokens)
        positionIDs.reserveCapacity(tokens)
        sequences.reserveCapacity(tokens)
    }

    package mutating func removeAll() {
        ids.removeAll(keepingCapacity: true)
        positionIDs.removeAll(keepingCapacity: true)
        sequences.removeAll(keepingCapacity: true)
    }

    package mutating func append(_ text: Encoding) {
        precondition(!text.ids.isEmpty)
        let start = ids.count
        sequences.append(start..<start + text.ids.count)
        ids.append(contentsOf: text.ids)
        switch positions {
        case .fromZero: positionIDs.append(contentsOf: text.ids.indices)
        case .afterPadding(let padID):
            var position = padID
            for id in text.ids {
                if id != padID { position += 1 }
                positionIDs.append(id == padID ? padID : position)
            }
        }
        guard let second = text.secondStart, secondOffset > 0 else { return }
        for token in start + second..<ids.count { positionIDs[token] += secondOffset }
    }
}
