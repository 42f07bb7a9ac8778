import Server
import Testing

struct PaceTests {
    /// Four batches of 100 tokens in the first time, which make it known, and one in each of the others.
    private static func pace(_ milliseconds: [Int]) -> Pace {
        var pace = Pace()
        for time in Array(repeating: milliseconds[0], count: 3) + milliseconds {
            pace.record(tokens: 100, took: .milliseconds(time), leavesMore: true)
        }
        return pace
    }

    private static func isNear(_ time: Duration, _ expected: Duration) -> Bool { abs(time / expected - 1) < 1e-9 }

    @Test func `nothing is known before four batches that left texts behind`() {
        var pace = Pace()
        for _ in 0..<10 { pace.record(tokens: 3, took: .milliseconds(1), leavesMore: false) }
        for _ in 0..<4 {
            #expect(pace.time(for: 1000) == .zero)
            pace.record(tokens: 100, took: .milliseconds(10), leavesMore: true)
        }
        #expect(Self.isNear(pace.time(for: 1000), .milliseconds(100)))
    }

    @Test func `a stall changes little, and a faster machine counts soon`() {
        #expect(Self.isNear(Self.pace([10, 60_000]).time(for: 100), .microseconds(11_250)))
        #expect(Self.isNear(Self.pace([10, 2]).time(for: 100), .milliseconds(6)))
        #expect(Self.pace([10] + Array(repeating: 20, count: 40)).time(for: 100) > .milliseconds(19))
    }

    @Test func `a small batch counts only where it is faster for its tokens`() {
        var pace = Self.pace([10])
        pace.record(tokens: 3, took: .milliseconds(1), leavesMore: false)
        #expect(Self.isNear(pace.time(for: 100), .milliseconds(10)))
        pace.record(tokens: 100, took: .milliseconds(4), leavesMore: false)
        #expect(Self.isNear(pace.time(for: 100), .milliseconds(7)))
    }

    /// A first batch in a stall would else have the queue refuse all that could say otherwise.
    @Test func `single texts bring a pace down that was never true`() {
        var pace = Self.pace([60_000])
        for _ in 0..<20 { pace.record(tokens: 3, took: .milliseconds(1), leavesMore: false) }
        #expect(pace.time(for: 100) < .milliseconds(100))
    }
}
