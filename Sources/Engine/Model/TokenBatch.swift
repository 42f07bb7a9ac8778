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
    package private(set) var positionIDs: [Int] = []
    /// Each text's rows in `ids`; none is empty.
    package private(set) var sequences: [Range<Int>] = []
    private let positions: Positions

    /// - Parameter tokens: how many there is room for.
    package init(_ positions: Positions, tokens: Int) {
        self.positions = positions
        ids.reserveCapacity(tokens)
        positionIDs.reserveCapacity(tokens)
        sequences.reserveCapacity(tokens)
    }

    package mutating func removeAll() {
        ids.removeAll(keepingCapacity: true)
        positionIDs.removeAll(keepingCapacity: true)
        sequences.removeAll(keepingCapacity: true)
    }

    package mutating func append(_ text: [Int]) {
        precondition(!text.isEmpty)
        sequences.append(ids.count..<ids.count + text.count)
        ids.append(contentsOf: text)
        switch positions {
        case .fromZero: positionIDs.append(contentsOf: text.indices)
        case .afterPadding(let padID):
            var position = padID
            for id in text {
                if id != padID { position += 1 }
                positionIDs.append(id == padID ? padID : position)
            }
        }
    }
}
