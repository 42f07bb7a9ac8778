import Engine
import Testing

@Suite struct BatchSplitTests {
    private func texts(_ lengths: [Int]) -> [Encoding] {
        lengths.map { Encoding(ids: Array(repeating: 7, count: $0)) }
    }

    @Test(arguments: [2, 3, 8])
    func `every text is in exactly one chunk, long ones first, and no chunk is longer than its bound`(_ threads: Int) {
        var split = BatchSplit(texts: 1024, longest: 512, threads: threads)
        var generator = SplitMix64(state: 5)
        for count in [2, 3, 7, 20, 64, 200] {
            var lengths: [Int] = []
            for _ in 0..<count { lengths.append(Int.random(in: 2...(count < 20 ? 100 : 30), using: &generator)) }
            let isShared = split.share(texts(lengths))
            guard count >= threads else { continue }
            #expect(split.order.sorted() == Array(0..<count))
            #expect(split.chunks.flatMap { $0 } == Array(0..<count))
            let sorted = split.order.map { lengths[$0] }
            #expect(sorted == sorted.sorted(by: >))
            let bound = BatchSplit.chunkTokens(batch: max(1024, lengths.reduce(0, +)), longest: 512, threads: threads)
            for chunk in split.chunks where isShared { #expect(sorted[chunk].reduce(0, +) <= bound) }
        }
    }

    private func expectApart(_ split: inout BatchSplit, _ lengths: [Int]) {
        let isShared = split.share(texts(lengths))
        #expect(isShared, "\(lengths)")
    }

    private func expectTogether(_ split: inout BatchSplit, _ lengths: [Int], _ why: Comment? = nil) {
        let isShared = split.share(texts(lengths))
        #expect(!isShared, why)
    }

    @Test func `texts that cannot be shared out evenly are left to all threads together`() {
        var two = BatchSplit(texts: 16, longest: 512, threads: 2)
        expectTogether(&two, [40])
        expectTogether(&two, [500, 10, 10])
        expectTogether(&two, [30, 30, 30], "one thread would have twice the work of the other")
        expectApart(&two, [30, 30])
        expectApart(&two, [30, 30, 30, 30])
        var one = BatchSplit(texts: 16, longest: 512, threads: 1)
        expectTogether(&one, [30, 30])
        var eight = BatchSplit(texts: 16, longest: 512, threads: 8)
        expectTogether(&eight, [30, 30, 30], "five threads would have nothing to do")
    }
}
