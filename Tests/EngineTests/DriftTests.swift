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

    /// As the first versions wrote it.
    private static let first = #"""
        {"format_version":1,"dataset":"d","split":"val","precision":"int8","texts":4,"features":{
        "label":{"negative":1,"neutral":0,"positive":3},"confidence":{"edges":[0.5,0.9],"counts":[1,1,2]},
        "tokens":{"edges":[],"counts":[4]}}}
        """#

    private static let valid: String =
        String(first.replacing("\"format_version\":1", with: "\"format_version\":2").dropLast(2)) + #"""
            ,"unknown_tokens":{"edges":[0.01],"counts":[3,1]},"emoji":{"edges":[1,2,4],"counts":[4,0,0,0]},
            "script":{"latin":2,"greek":0,"cyrillic":0,"hebrew":0,"arabic":0,"devanagari":0,"thai":0,"hangul":0,"kana":0,
            "han":0,"other":0,"mixed":1,"none":1}},
            "token_counts":{"ids":[17,4],"texts":[3,2],"unlisted":1},
            "embedding":{"mean":[0.5,-1],"covariance":[[1,0.5],[0.5,2]]}}
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
        let profile = try #require(try read(Self.first))
        #expect(profile.distributions[.label]?.counts == [1, 0, 3] && profile.bins[.confidence]?.edges == [0.5, 0.9])
        #expect(profile.distributions.count == 3 && profile.tokenCounts == nil && profile.embedding == nil)
        #expect(try read(String(decoding: profile.json.serialized(pretty: true), as: UTF8.self)) == profile)
        let second = try #require(try read(Self.valid))
        #expect(second.distributions[.script]?.counts == [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
        #expect(second.tokenCounts?[17] == 3 && second.tokenCounts?[18] == 1 && second.embedding?.mean == [0.5, -1])
        #expect(try read(String(decoding: second.json.serialized(pretty: true), as: UTF8.self)) == second)
        let shipped = try ModelDirectory.shipped()
        #expect(try ReferenceProfile(directory: shipped, labels: ["negative", "neutral", "positive"]) != nil)
    }

    @Test(arguments: [
        ("{", "is not JSON"), ("[]", "format_version"), (#"{"format_version":3}"#, "has format_version 3"),
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
            error?.problem.contains("--drift-reference") == true
                && error?.subject.hasSuffix("/reference_profile.json") == true
        )
    }

    @Test(arguments: [
        (valid.replacing("\"han\"", with: "\"runic\""), "features.script\" has latin, greek"),
        (valid.replacing("[17,4]", with: "[17,17]"), "token_counts\" are not different ids"),
        (valid.replacing("[17,4]", with: "[17,null]"), "token_counts.ids\" is not up to 5000 whole numbers"),
        (valid.replacing("[3,2]", with: "[5,2]"), "each with a count up to \"texts\", which is 4"),
        (valid.replacing("[0.5,2]", with: "[0.4,2]"), "\"embedding\" is not a mean of 2 to 16 numbers"),
        (valid.replacing("[0.5,2]", with: "[0.5,0.1]"), "\"embedding\" is not a mean of 2 to 16 numbers"),
        (valid.replacing("[0.5,-1]", with: "[0.5]"), "\"embedding\" is not a mean of 2 to 16 numbers"),
    ])
    func `a damage to what the second format added is an error, too`(_ text: String, _ expected: String) throws {
        let error = #expect(throws: InputError.self) { try read(text) }
        #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
    }
}

@Suite struct EmbeddingDriftTests {
    private typealias Vector = EmbeddingSketch.Vector

    /// Expected: numpy, with the signs of SplitMix64 as the class describes them.
    @Test func `a sketch is sums with drawn signs, of an even number of dimensions`() {
        func values(_ count: Int) -> [Float] { (0..<count).map { Float($0 * 37 % 101) / 101 - 0.5 } }
        func sketch(_ count: Int) -> Vector {
            values(count).withUnsafeBufferPointer { EmbeddingSketch(width: count)($0) }
        }
        let wide: [Float] = [
            0.1252387, -0.1268042, 0.0156548, 0.045399, -0.0641848, -0.5306991, 0.2348226, -0.1518519, -0.2645668,
            -0.3569303,
            -0.4571213, -0.2723942, 0.1737687, 0.0673158, -0.3553649, -0.0438336,
        ]
        let narrow: [Float] = [-0.0115512, 0.4108911, -0.3877888, -0.1006601]
        for index in 0..<16 {
            #expect(abs(sketch(40)[index] - wide[index]) < 1e-6)
            #expect(abs(sketch(9)[index] - (index < 4 ? narrow[index] : 0)) < 1e-6)
        }
        #expect([4, 9, 31, 32, 768].map { EmbeddingSketch(width: $0).dimensions } == [2, 4, 14, 16, 16])
    }

    private static func vectors(_ count: Int, shift: Double, scale: Double) -> [Vector] {
        (0..<count).map { i in
            var vector = Vector.zero
            for (j, (p, q)) in [(17, 97), (29, 89), (41, 83), (53, 79)].enumerated() {
                let number: Double = Double((i * p + 7 * j) % q) / Double(q)
                vector[j] = Float(scale * (number - 0.5) + shift * Double(j + 1))
            }
            return vector
        }
    }

    private static func shift(of live: [Vector], from reference: EmbeddingDistribution) -> EmbeddingDistribution.Shift {
        var sums = EmbeddingSums()
        for vector in live { sums.add(reference.whitened(vector)) }
        return reference.shift(of: sums)
    }

    /// Expected: scipy.spatial.distance.mahalanobis, scipy.stats.chi2.sf, and numpy's Frobenius norm of L⁻¹ · C · L⁻ᵀ − I.
    @Test func `the distances of mean and covariance are SciPy's`() throws {
        let reference = try #require(
            EmbeddingDistribution(of: Self.vectors(300, shift: 0, scale: 1), dimensions: 4))
        let shift = Self.shift(of: Self.vectors(200, shift: 0.05, scale: 1.2), from: reference)
        #expect(abs(shift.mean - 0.845271588764566) < 1e-6)
        #expect(abs(shift.meanPValue / 1.496723826969202e-18 - 1) < 1e-3)
        #expect(abs(shift.covariance - 0.46539938311275275) < 1e-5)
        let same = Self.shift(of: Self.vectors(300, shift: 0, scale: 1), from: reference)
        #expect(same.mean == 0 && same.meanPValue > 0.999 && same.covariance < 0.01)
    }

    /// Expected: scipy.stats.chi2.sf.
    @Test(
        arguments: [
            (0, 16, 1), (16, 16, 0.4529608094869946), (40.5, 16, 0.0006578238240911239), (3, 2, 0.22313016014842982),
            (100, 4, 9.836624224615988e-21),
        ] as [(Double, Int, Double)])
    func `the tail of chi squared is SciPy's`(_ value: Double, _ degrees: Int, _ expected: Double) {
        #expect(abs(EmbeddingDistribution.upperTail(chiSquared: value, degrees: degrees) / expected - 1) < 1e-12)
    }

    @Test func `what was added and taken away again leaves the sums as they were`() throws {
        let (some, others) = (Self.vectors(50, shift: 0, scale: 1), Self.vectors(500, shift: 3, scale: 9))
        let reference = try #require(EmbeddingDistribution(of: Self.vectors(300, shift: 0, scale: 1), dimensions: 4))
        var sums = EmbeddingSums()
        for vector in some { sums.add(vector) }
        let before = reference.shift(of: sums)
        for vector in others { sums.add(vector) }
        for vector in others { sums.remove(vector) }
        #expect(sums.count == 50 && abs(reference.shift(of: sums).mean - before.mean) < 1e-9)
        #expect(abs(reference.shift(of: sums).covariance - before.covariance) < 1e-9)
    }

    @Test func `too few embeddings, or ones that do not fill their space, are no distribution`() {
        #expect(EmbeddingDistribution(of: Self.vectors(39, shift: 0, scale: 1), dimensions: 4) == nil)
        #expect(EmbeddingDistribution(of: Self.vectors(300, shift: 0, scale: 1), dimensions: 6) == nil)
        #expect(EmbeddingDistribution(of: Array(repeating: Vector(repeating: 1), count: 300), dimensions: 4) == nil)
    }

    @Test(arguments: ["bert-tiny", "bert-one-layer", "deberta-tiny", "modernbert-tiny", "modernbert-mean", "roberta-int8"])
    func `a text has the same sketch alone and in a batch, with every number of threads, and other texts have others`(
        _ name: String
    ) throws {
        let texts = (0..<24).map { "text number \($0) is \($0 % 3 == 0 ? "good" : "long and bad and more of it")" }
        let directory = try ModelDirectory(path: Fixtures.model(name))
        let alone = try Classifier(directory, options: .init(threads: 1))
        let expected = try texts.map { try alone.predict([$0])[0].sketch }
        #expect(Set(expected).count > 1 && expected.allSatisfy { $0 != .zero })
        for threads in [1, 2, 3] {
            let classifier = try Classifier(directory, options: .init(threads: threads, cacheBytes: 1 << 20))
            for _ in 0..<2 { #expect(try classifier.predict(texts).map(\.sketch) == expected, "\(threads) threads") }
        }
    }
}

@Suite struct TextTraitsTests {
    private static func traits(_ text: String) throws -> TextTraits {
        let classifier = try Classifier(try ModelDirectory.shipped())
        return classifier.traits(of: text, try classifier.input(text))
    }

    @Test(
        arguments: [
            ("Hello, world! 123", .latin), ("Ça déjà vu", .latin), ("Привет, мир", .cyrillic), ("Γειά σου", .greek),
            ("שלום", .hebrew), ("مرحبا بالعالم", .arabic), ("नमस्ते", .devanagari), ("สวัสดี", .thai), ("안녕하세요", .hangul),
            ("こんにちは世界", .kana), ("你好，世界", .han), ("Բարեւ", .other), ("Hello, Привет", .mixed), ("123 !? 😀", .none),
            ("Hi Привет всем моим друзьям", .cyrillic),
        ] as [(String, Script)])
    func `a text has the script of four fifths of its letters`(_ text: String, _ script: Script) throws {
        #expect(try Self.traits(text).script == script)
    }

    @Test func `emoji, unknown tokens and different tokens are counted`() throws {
        #expect(try ["no", "one 😀", "👍🏽 two ☀️", "🎉🎉🎉"].map { try Self.traits($0).emoji } == [0, 1, 2, 3])
        let unknown = try Self.traits("good 𐎀𐎁 good good")
        // [CLS] good [UNK] good good [SEP]
        #expect(abs(try #require(unknown.unknown) - 1.0 / 6) < 1e-12)
        #expect(unknown.tokens.count == 4 && unknown.tokens == unknown.tokens.sorted())
        let long = try Self.traits((0..<400).map { "w\($0)" }.joined(separator: " "))
        #expect(long.tokens.count <= 512)
        let bytes = try Classifier(try ModelDirectory(path: Fixtures.model("roberta-tiny")), options: .init(threads: 1))
        #expect(bytes.traits(of: "a", try bytes.input("a")).unknown == nil, "bytes have no unknown token")
    }

    /// Expected: scipy.stats.chi2_contingency(…, correction=False, lambda_="log-likelihood").
    @Test(
        arguments: [
            (110, 2442, 111, 29_114, 278.38600179139223), (0, 500, 3, 2000, 1.3397621187096564), (20, 500, 80, 2000, 0),
            (300, 10_000, 1, 2000, 101.0434190536308), (500, 500, 2000, 2000, 0),
        ] as [(Int, Int, Int, Int, Double)])
    func `the log-likelihood ratio is SciPy's`(_ count: Int, _ total: Int, _ other: Int, _ otherTotal: Int, _ g2: Double) {
        #expect(abs(TokenCounts.logLikelihoodRatio(count, of: total, other, of: otherTotal) - g2) < 1e-9)
    }

    @Test func `the most frequent tokens are listed, of those in two texts or more`() {
        let few = TokenCounts(of: [[1, 2, 3], [2, 3], [3, 9]])
        #expect(few.texts == [2: 2, 3: 3] && few.unlisted == 1 && few.total == 3)
        let many = TokenCounts(of: Array(repeating: Array(0..<5000), count: 3) + Array(repeating: [6000], count: 2))
        #expect(many.texts.count == 5000 && many.unlisted == 2 && many[6000] == 2 && many[0] == 3)
    }
}
