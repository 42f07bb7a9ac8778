/// How the texts of a batch are shared out among threads that each take some of them through the whole model, instead of
/// sharing each operation: no thread waits for another one until the batch ends, and what a thread reads it wrote itself.
/// Filled anew for each batch, in the memory of the last.
package struct BatchSplit {
    /// The texts, the longest first.
    package private(set) var order: [Int] = []
    /// What a thread takes at once, as ranges of `order`: first much, then ever less, so that all end together.
    package private(set) var chunks: [Range<Int>] = []
    private var lengths: [Int]
    private var loads: [Int]

    /// - Parameters:
    ///   - texts: the most of a batch.
    ///   - longest: the most tokens of a text.
    package init(texts: Int, longest: Int, threads: Int) {
        order.reserveCapacity(texts)
        chunks.reserveCapacity(texts)
        lengths = Array(repeating: 0, count: longest + 1)
        loads = Array(repeating: 0, count: threads)
    }

    /// The most tokens of one chunk: no thread's load is larger than `share` allows.
    package static func chunkTokens(batch: Int, longest: Int, threads: Int) -> Int {
        min(max(longest, batch / (2 * threads)), 5 * batch / (4 * threads))
    }

    /// False where whole texts cannot be shared out evenly: a single one, or one that is longer than all others together.
    package mutating func share(_ texts: [Encoding]) -> Bool {
        chunks.removeAll(keepingCapacity: true)
        guard texts.count >= loads.count, loads.count > 1 else { return false }
        sort(texts)
        let total = texts.reduce(0) { $0 + $1.ids.count }
        for thread in loads.indices { loads[thread] = 0 }
        var left = total
        var first = 0
        while first < order.count {
            var tokens = texts[order[first]].ids.count
            var last = first + 1
            while last < order.count, tokens + texts[order[last]].ids.count <= left / (2 * loads.count) {
                tokens += texts[order[last]].ids.count
                last += 1
            }
            chunks.append(first..<last)
            left -= tokens
            first = last
            // It goes to whoever is free first.
            var free = 0
            for thread in loads.indices where loads[thread] < loads[free] { free = thread }
            loads[free] += tokens
        }
        // Sharing each operation costs about a quarter more than threads that work apart.
        var longest = 0
        for load in loads where load > longest { longest = load }
        return 4 * longest * loads.count <= 5 * total
    }

    /// By counting: nothing is allocated.
    private mutating func sort(_ texts: [Encoding]) {
        for index in lengths.indices { lengths[index] = 0 }
        for text in texts { lengths[text.ids.count] += 1 }
        var start = 0
        for length in lengths.indices.reversed() {
            let count = lengths[length]
            lengths[length] = start
            start += count
        }
        order.removeAll(keepingCapacity: true)
        for _ in texts { order.append(0) }
        for (index, text) in texts.enumerated() {
            order[lengths[text.ids.count]] = index
            lengths[text.ids.count] += 1
        }
    }
}
