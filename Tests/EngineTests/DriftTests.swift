import Engine
import Foundation
import Testing

@Suite struct ReferenceProfileTests {
    /// Expected: scipy.spatial.distance.jensenshannon(p, q, 2) and sum((p - q) * log(p / q)) with
    /// p = (counts + 0.5) / (sum + 0.5 * bins).
    @Test(
        arguments: [
            ([10, 20, 30], [12, 18, 33], 0.01099594645063955, 0.04451314416068497),
            ([0, 0, 100], [50, 30, 20], 4.741486394833929, 0.7553795573518851),
            ([5, 5], [5000, 5000], 0.0, 0.0),
            (
                [1, 2, 3, 4, 5, 6, 7, 8, 9, 0], [200, 200, 200, 200, 200, 200, 200, 200, 200, 200], 0.46193007964236077,
                0.27475206917850437
            ),
        ] as [([Int], [Int], Double, Double)])
    func `figures equal SciPy's`(_ live: [Int], _ reference: [Int], _ index: Double, _ distance: Double) {
        let (live, reference) = (Distribution(counts: live), Distribution(counts: reference))
        #expect(abs(live.stabilityIndex(against: reference) - index) < 1e-12)
        #expect(abs(live.jensenShannonDistance(to: reference) - distance) < 1e-9)
        #expect(abs(reference.stabilityIndex(against: live) - index) < 1e-12, "both ways are the same")
    }

    @Test func `bins are closed below and open above, the first and the last one unbounded`() {
        let bins = Bins(edges: [1, 2.5])
        #expect([-9, 0.99, 1, 2.49, 2.5, 1e9].map(bins.index) == [0, 0, 1, 1, 2, 2])
        #expect(Bins(edges: []).index(of: 3) == 0)
    }

    @Test func `deciles share values out evenly, and repeat no edge`() {
        let bins = Bins.deciles(of: (0..<1000).map(Double.init))
        #expect(bins.edges == [100, 200, 300, 400, 500, 600, 700, 800, 900])
        #expect(Bins.deciles(of: Array(repeating: 7, count: 50)).edges.isEmpty)
        #expect(Bins.deciles(of: [1, 1, 1, 1, 1, 1, 1, 1, 1, 2]).edges == [2])
        #expect(Bins.deciles(of: [3]).edges.isEmpty)
    }

    private static let valid = #"""
        {"format_version":1,"dataset":"d","split":"val","precision":"int8","texts":4,"features":{
        "label":{"negative":1,"neutral":0,"positive":3},"confidence":{"edges":[0.5,0.9],"counts":[1,1,2]},
        "tokens":{"edges":[],"counts":[4]}}}
        """#

    private func read(_ text: String) throws -> ReferenceProfile? {
        let folder = NSTemporaryDirectory() + "apus-profile-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try "{}".write(toFile: folder + "/config.json", atomically: true, encoding: .utf8)
        try text.write(toFile: folder + "/reference_profile.json", atomically: true, encoding: .utf8)
        return try ReferenceProfile(
            directory: try ModelDirectory(path: folder), labels: ["negative", "neutral", "positive"])
    }

    @Test func `a profile is written and read back as it was`() throws {
        let profile = try #require(try read(Self.valid))
        #expect(profile.distributions[.label]?.counts == [1, 0, 3] && profile.confidenceBins.edges == [0.5, 0.9])
        #expect(try read(String(decoding: profile.json.serialized(pretty: true), as: UTF8.self)) == profile)
        let shipped = try ModelDirectory.shipped()
        #expect(try ReferenceProfile(directory: shipped, labels: ["negative", "neutral", "positive"]) != nil)
    }

    @Test(arguments: [
        ("{", "is not JSON"), ("[]", "format_version"), (#"{"format_version":2}"#, "has format_version 2"),
        (valid.replacing("\"texts\":4", with: "\"texts\":0"), "\"texts\" is not a whole number from 1"),
        (valid.replacing("\"texts\":4", with: "\"texts\":5"), "add up to \"texts\", which is 5"),
        (valid.replacing("\"texts\":4", with: "\"texts\":9223372036854775807"), "\"texts\" is not"),
        (
            valid.replacing("neutral", with: "mixed"),
            "has the labels negative, mixed, positive; the model has negative, neutral, positive"
        ),
        (valid.replacing("[0.5,0.9]", with: "[0.9,0.5]"), "edges\" are not ascending"),
        (valid.replacing("[0.5,0.9]", with: "[0.5]"), "1 edges and 3 counts"),
        (valid.replacing("[1,1,2]", with: "[1,-1,4]"), "features.confidence.counts"),
        (valid.replacing("[1,1,2]", with: "[1,1.5,1.5]"), "features.confidence.counts"),
        (valid.replacing("\"edges\":[],\"counts\":[4]", with: "\"counts\":[4]"), "features.tokens.edges"),
        (valid.replacing("\"dataset\":\"d\",", with: ""), "no string \"dataset\""),
        (valid.replacing("\"edges\":[]", with: "\"edges\":\((0..<300).map { $0 })"), "the limit is 200"),
    ])
    func `a damaged profile is an error that says what is wrong and what to do`(_ text: String, _ expected: String) throws {
        let error = #expect(throws: InputError.self) { try read(text) }
        #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
        #expect(
            error?.problem.contains("--write-profile") == true && error?.subject.hasSuffix("/reference_profile.json") == true
        )
    }
}
