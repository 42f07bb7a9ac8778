import Engine

/// The last answers, by request, so that somebody can say hours later which label was right. Never a text.
///
/// A slot a text: the texts of a request lie behind each other. When all slots are taken, the oldest answers make room.
package struct AnswerRing {
    /// The first half of the SHA-256 of a request's id.
    package struct Key: Hashable {
        let high: UInt64
        let low: UInt64

        package init(high: UInt64, low: UInt64) {
            self.high = high
            self.low = low
        }

        init(of identifier: String) {
            (high, low) = Array(identifier.utf8).withUnsafeBytes { $0.startOfSHA256() }
        }
    }

    /// What a text was called, and how sure the model was.
    package struct Label: Equatable {
        package let predicted: UInt16
        let confidence: Float

        package init(predicted: UInt16, confidence: Float) {
            self.predicted = predicted
            self.confidence = confidence
        }
    }

    /// 40 bytes.
    package struct Answer {
        let key: Key
        /// Seconds since 1970.
        package let answered: UInt32
        /// When feedback came, in seconds since 1970; 0 for never.
        package fileprivate(set) var judged: UInt32 = 0
        /// Of a request's first text the slot of an older request in the same chain, or `none`; of the others `inside`.
        fileprivate(set) var next: UInt32
        let confidence: Float
        package let model: UInt16
        package let predicted: UInt16
        /// The label that was right, where there was feedback.
        package fileprivate(set) var actual: UInt16 = 0
    }

    private static let none = UInt32.max
    private static let inside = UInt32.max - 1

    /// The most answers.
    let capacity: Int
    package private(set) var answers: [Answer] = []
    /// How many of them there was feedback for.
    package private(set) var judgedCount = 0
    /// By a key's last bits, the slot of the newest request of a chain. Grows with the answers.
    private var chains: [UInt32] = [none]
    /// The next slot to be written, once all are taken.
    private var oldest = 0

    /// - Parameter capacity: from 1 to 2^31.
    package init(capacity: Int) { self.capacity = capacity }

    /// Keeps the answers of a request. Of one with more texts than there are slots nothing is kept.
    package mutating func append(_ key: Key, model: UInt16, _ labels: [Label], at time: UInt32) {
        guard labels.count <= capacity else { return }
        for (index, label) in labels.enumerated() {
            let slot: Int
            if answers.count < capacity {
                slot = answers.count
            } else {
                slot = oldest
                unlink(slot)
                if answers[slot].judged > 0 { judgedCount -= 1 }
                oldest = (oldest + 1) % capacity
            }
            let answer = Answer(
                key: key, answered: time, next: Self.inside, confidence: label.confidence, model: model,
                predicted: label.predicted)
            if slot == answers.count { answers.append(answer) } else { answers[slot] = answer }
            if index == 0 { link(slot) }
        }
    }

    /// Where the answer to text `index` of the newest request with this key is; nil where it is not kept any more.
    package func slot(_ key: Key, index: Int) -> Int? {
        var first = chains[chain(key)]
        while first != Self.none, answers[Int(first)].key != key { first = answers[Int(first)].next }
        guard first != Self.none, index < answers.count - age(Int(first)) else { return nil }
        let slot = (Int(first) + index) % capacity
        guard answers[slot].key == key, index == 0 || answers[slot].next == Self.inside else { return nil }
        return slot
    }

    /// Notes that label `actual` was right, in place of what was said before; false where that was the same.
    package mutating func judge(_ slot: Int, actual: UInt16, at time: UInt32) -> Bool {
        guard answers[slot].judged == 0 || answers[slot].actual != actual else { return false }
        if answers[slot].judged == 0 { judgedCount += 1 }
        answers[slot].actual = actual
        answers[slot].judged = max(time, 1)
        return true
    }

    /// When the oldest answer that is kept was given; nil where there is none.
    var oldestTime: UInt32? { answers.isEmpty ? nil : answers[oldest].answered }

    /// The slots of each request, oldest first.
    package var requests: [[Int]] {
        var requests: [[Int]] = []
        for slot in answers.indices.map({ (oldest + $0) % answers.count }) {
            if answers[slot].next != Self.inside {
                requests.append([slot])
            } else if !requests.isEmpty {  // the first texts of the oldest request may have made room
                requests[requests.count - 1].append(slot)
            }
        }
        return requests
    }

    /// How many answers are older.
    private func age(_ slot: Int) -> Int { (slot - oldest + answers.count) % answers.count }

    private func chain(_ key: Key) -> Int { Int(truncatingIfNeeded: key.low) & (chains.count - 1) }

    private mutating func link(_ slot: Int) {
        if chains.count < answers.count {
            chains = Array(repeating: Self.none, count: 2 * chains.count)
            for request in requests where request[0] != slot { push(request[0]) }
        }
        push(slot)
    }

    private mutating func push(_ slot: Int) {
        let chain = chain(answers[slot].key)
        answers[slot].next = chains[chain]
        chains[chain] = UInt32(slot)
    }

    /// Takes the oldest request out of its chain, at whose end it is.
    private mutating func unlink(_ slot: Int) {
        guard answers[slot].next != Self.inside else { return }
        let chain = chain(answers[slot].key)
        guard chains[chain] != UInt32(slot) else {
            chains[chain] = Self.none
            return
        }
        var newer = Int(chains[chain])
        while answers[newer].next != UInt32(slot) { newer = Int(answers[newer].next) }
        answers[newer].next = Self.none
    }
}
