import Engine
import Server
import Testing

@Suite struct RolloutTests {
    private static func figures(
        answers: Int, failures: Int = 0, milliseconds: (Int) -> Double = { _ in 10 }, labels: [String] = ["a", "b"]
    ) -> CanaryFigures {
        var figures = CanaryFigures()
        // Failures among the answers, as they come.
        for index in 0..<answers {
            figures.answered([labels[index % labels.count]], in: .milliseconds(milliseconds(index)))
            if index * failures / answers < (index + 1) * failures / answers { figures.failed() }
        }
        return figures
    }

    private static func accuracy(_ right: Int, of count: Int) -> LiveAccuracy? {
        LiveAccuracy((0..<count).map { (0, $0 < right ? 0 : 1, 0.9) }, labels: ["a", "b"])
    }

    private static func reason(
        _ canary: CanaryFigures, _ standard: CanaryFigures, _ accuracy: LiveAccuracy? = nil,
        _ standardAccuracy: LiveAccuracy? = nil
    ) -> CanaryObjection.Reason? {
        canary.objection(against: standard, accuracy: accuracy, standardAccuracy: standardAccuracy)?.reason
    }

    @Test func `a canary like the default model is left alone, at every count of requests`() {
        for count in [1, 2, 10, 199, 200, 999, 1000, 1001, 5000] {
            let figures = Self.figures(answers: count)
            #expect(figures.requests == count)
            #expect(Self.reason(figures, figures) == nil, "\(count)")
            #expect(Self.reason(figures, CanaryFigures()) == nil)
            #expect(Self.reason(CanaryFigures(), figures) == nil)
        }
    }

    @Test func `requests that fail take a canary back, but not one in many, and not where the default model's fail too`() {
        let well = Self.figures(answers: 1000)
        #expect(Self.reason(Self.figures(answers: 20, failures: 4), well) == .errors)
        #expect(Self.reason(Self.figures(answers: 900, failures: 30), well) == .errors)
        #expect(Self.reason(Self.figures(answers: 20, failures: 1), well) == nil)
        #expect(Self.reason(Self.figures(answers: 900, failures: 10), well) == nil)
        #expect(Self.reason(Self.figures(answers: 900, failures: 30), Self.figures(answers: 900, failures: 30)) == nil)
        #expect(Self.reason(well, Self.figures(answers: 20, failures: 10)) == nil)
    }

    @Test func `what failed long ago is forgotten`() {
        var figures = Self.figures(answers: 100, failures: 20)
        #expect(Self.reason(figures, Self.figures(answers: 1000)) == .errors)
        for _ in 0..<1000 { figures.answered(["a"], in: .milliseconds(10)) }
        #expect(Self.reason(figures, CanaryFigures()) == nil)
    }

    @Test func `answers that take over twice as long take a canary back, a few slow ones do not`() {
        let standard = Self.figures(answers: 1000)
        #expect(Self.reason(Self.figures(answers: 500) { _ in 21 }, standard) == .latency)
        #expect(Self.reason(Self.figures(answers: 500) { $0 % 20 == 0 ? 100 : 5 }, standard) == .latency)
        #expect(Self.reason(Self.figures(answers: 500) { _ in 19 }, standard) == nil)
        #expect(Self.reason(Self.figures(answers: 500) { $0 % 100 == 0 ? 100 : 10 }, standard) == nil)
        // Too few to tell.
        #expect(Self.reason(Self.figures(answers: 199) { _ in 100 }, standard) == nil)
        #expect(Self.reason(Self.figures(answers: 500) { _ in 100 }, Self.figures(answers: 199)) == nil)
        // Under load both are slow.
        #expect(Self.reason(Self.figures(answers: 500) { _ in 100 }, Self.figures(answers: 500) { _ in 90 }) == nil)
    }

    @Test func `other labels for the same stream take a canary back`() {
        let standard = Self.figures(answers: 1000, labels: ["a", "b", "c"])
        #expect(Self.reason(Self.figures(answers: 600, labels: ["a", "a", "a", "a", "b", "c"]), standard) == .labels)
        #expect(Self.reason(Self.figures(answers: 600, labels: ["d"]), standard) == .labels)
        #expect(Self.reason(Self.figures(answers: 600, labels: ["a", "a", "b", "c"]), standard) == nil)
        #expect(Self.reason(Self.figures(answers: 499, labels: ["d"]), standard) == nil)
    }

    @Test func `feedback takes a canary back where its whole interval is under the default model's`() {
        let figures = Self.figures(answers: 100)
        func reason(_ right: Int, _ count: Int, _ standardRight: Int, _ standardCount: Int) -> CanaryObjection.Reason? {
            Self.reason(figures, figures, Self.accuracy(right, of: count), Self.accuracy(standardRight, of: standardCount))
        }
        #expect(reason(20, 40, 900, 1000) == .accuracy)
        #expect(reason(84, 100, 900, 1000) == nil)
        #expect(reason(10, 29, 900, 1000) == nil)
        #expect(reason(100, 100, 500, 1000) == nil)
        #expect(Self.reason(figures, figures, Self.accuracy(1, of: 100), nil) == nil)
    }

    @Test(arguments: [0.0, 0.01, 0.05, 0.3, 0.999, 1])
    func `a share takes that part of the keys, the same ones each time, and all that a smaller share takes`(share: Double) {
        let keys = (0..<20_000).map { "user-\($0)" }
        let taken = keys.filter { RequestShare.takes($0, share, for: "canary") }
        let deviation = (share * (1 - share) * Double(keys.count)).squareRoot()
        #expect(abs(Double(taken.count) - share * Double(keys.count)) <= 4 * deviation)
        #expect(taken.allSatisfy { RequestShare.takes($0, min(1, share * 1.5), for: "canary") })
        // Another purpose takes others.
        let both = taken.count { RequestShare.takes($0, share, for: "shadow") }
        #expect(abs(Double(both) - share * Double(taken.count)) <= 4 * deviation + 1)
    }

    @Test func `shares are read as people write them`() {
        for (text, share) in [("5%", 0.05), ("0.05", 0.05), ("100%", 1), ("1", 1), ("0", 0), ("0%", 0), ("12.5%", 0.125)] {
            #expect(RequestShare.parse(text) == share, "\(text)")
        }
        for text in ["", "%", "5", "101%", "-1%", "nan", "NaN%", "inf", "5 %", "5%%", "five"] {
            #expect(RequestShare.parse(text) == nil, "\(text)")
        }
    }
}
