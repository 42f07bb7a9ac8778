import Synchronization

/// The scores of the texts that were asked for last, by their tokens: one that comes again costs no pass. Scores are the same
/// bits alone and in every batch, so nobody can tell but by the clock. Usable from concurrent code.
final class ScoreCache: Sendable {
    /// What scores depend on.
    struct Key: Hashable {
        private let ids: [Int]
        private let secondStart: Int?

        init(_ encoding: Encoding) {
            ids = encoding.ids
            secondStart = encoding.secondStart
        }

        var byteCount: Int { 8 * ids.count }
    }

    /// A list from the one used last to the one that makes room first.
    fileprivate struct State {
        var slots: [Key: Int] = [:]
        var entries: [Entry] = []
        var free: [Int] = []
        var newest: Int?
        var oldest: Int?
        var bytes = 0
        var hits = 0
    }

    fileprivate struct Entry {
        let key: Key
        let scores: Scores
        var newer: Int?
        var older: Int?

        /// About what it takes: itself, its arrays' heads, its place in the dictionary.
        var byteCount: Int { 464 + key.byteCount + 4 * (scores.logits.count + scores.probabilities.count) }
    }

    private let capacity: Int
    private let state = Mutex(State())

    /// - Parameter bytes: about what it may take.
    init(bytes: Int) { capacity = bytes }

    /// How many texts found their scores here.
    var hits: Int { state.withLock { $0.hits } }

    /// The scores of each encoding that has them.
    func scores(of encodings: [Encoding]) -> [Scores?] {
        let keys = encodings.map(Key.init)
        return state.withLock { state in keys.map { state.use($0) } }
    }

    /// The scores of all encodings; nil, and nothing counted, where those of one are missing.
    func allScores(of encodings: [Encoding]) -> [Scores]? {
        let keys = encodings.map(Key.init)
        return state.withLock { state -> [Scores]? in
            guard keys.allSatisfy({ state.slots[$0] != nil }) else { return nil }
            return keys.map { state.use($0)! }
        }
    }

    func insert(_ scores: Scores, for encoding: Encoding) {
        let entry = Entry(key: Key(encoding), scores: scores)
        guard entry.byteCount <= capacity else { return }
        state.withLock { state in
            if state.slots[entry.key] != nil { return }
            state.insert(entry)
            while state.bytes > capacity { state.removeOldest() }
        }
    }
}

extension ScoreCache.State {
    fileprivate mutating func use(_ key: ScoreCache.Key) -> Scores? {
        guard let slot = slots[key] else { return nil }
        hits += 1
        if newest != slot {
            unlink(slot)
            link(slot)
        }
        return entries[slot].scores
    }

    fileprivate mutating func insert(_ entry: ScoreCache.Entry) {
        let slot = free.popLast() ?? entries.count
        if slot == entries.count { entries.append(entry) } else { entries[slot] = entry }
        slots[entry.key] = slot
        bytes += entry.byteCount
        link(slot)
    }

    fileprivate mutating func removeOldest() {
        guard let slot = oldest else { return }
        unlink(slot)
        slots[entries[slot].key] = nil
        bytes -= entries[slot].byteCount
        entries[slot] = ScoreCache.Entry(key: .init(Encoding(ids: [])), scores: ([], [], .zero))
        free.append(slot)
    }

    private mutating func link(_ slot: Int) {
        (entries[slot].newer, entries[slot].older) = (nil, newest)
        if let newest { entries[newest].newer = slot }
        newest = slot
        if oldest == nil { oldest = slot }
    }

    private mutating func unlink(_ slot: Int) {
        let (newer, older) = (entries[slot].newer, entries[slot].older)
        if let newer { entries[newer].older = older } else { newest = older }
        if let older { entries[older].newer = newer } else { oldest = newer }
    }
}
