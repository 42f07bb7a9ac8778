import Server
import Testing

struct PaceTests {
    private static func pace(_ milliseconds: [Int]) -> Pace {
        var pace = Pace()
        for time in milliseconds { pace.record(tokens: 100, took: .milliseconds(time), leavesMore: true) }
        return pace
    }

    @Test func `nothing is known before a batch that left texts behind`() {
        var pace = Pace()
        #expect(pace.time(for: 1000) == .zero)
        pace.record(tokens: 3, took: .milliseconds(1), leavesMore: false)
        #expect(pace.time(for: 1000) == .zero)
        pace.record(tokens: 100, took: .milliseconds(10), leavesMore: true)
        #expect(pace.time(for: 1000) == .milliseconds(100))
    }

    @Test func `a stall changes little, and a faster machine counts soon`() {
        #expect(Self.pace([10, 60_000]).time(for: 100) == .microseconds(11_250))
        #expect(Self.pace([10, 2]).time(for: 100) == .milliseconds(6))
        #expect(Self.pace([10] + Array(repeating: 20, count: 40)).time(for: 100) > .milliseconds(19))
    }

    @Test func `a small batch counts only where it is faster for its tokens`() {
        var pace = Self.pace([10])
        pace.record(tokens: 3, took: .milliseconds(1), leavesMore: false)
        #expect(pace.time(for: 100) == .milliseconds(10))
        pace.record(tokens: 100, took: .milliseconds(4), leavesMore: false)
        #expect(pace.time(for: 100) == .milliseconds(7))
    }

    /// A first batch in a stall would else have the queue refuse all that could say otherwise.
    @Test func `single texts bring a pace down that was never true`() {
        var pace = Self.pace([60_000])
        for _ in 0..<20 { pace.record(tokens: 3, took: .milliseconds(1), leavesMore: false) }
        #expect(pace.time(for: 100) < .milliseconds(100))
    }
}
