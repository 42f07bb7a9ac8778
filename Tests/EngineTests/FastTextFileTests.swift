import Engine
import Foundation
import Testing

/// fastText's files are untrusted too: whatever is in them, the answer is a model or one clear error.
@Suite struct FastTextFileTests {
    /// Where the settings stand in the file: `args.cc`, then `dictionary.cc`.
    private enum Offset {
        static let (magic, version, dimension, wordNgrams, loss, kind, buckets, shortest, longest) =
            (0, 4, 8, 28, 32, 36, 40, 44, 48)
        static let (size, words, labels, kept, entries) = (64, 68, 72, 84, 92)
    }

    private func bytes(_ name: String) throws -> [UInt8] { try Fixtures.bytes(FastTextFixtures.path(name)) }

    /// The error of loading `bytes` as m.bin, without the file's name.
    private func problem(_ bytes: [UInt8], in directory: TemporaryDirectory) throws -> String {
        try directory.write(bytes, to: "m.bin")
        let message = message { _ = try FastTextModel(path: directory.path + "/m.bin") }
        guard message != "(no error)" else { return message }
        #expect(message.hasPrefix("m.bin: "), "\(message)")
        return String(message.dropFirst("m.bin: ".count))
    }

    private func problem(_ bytes: [UInt8]) throws -> String { try problem(bytes, in: TemporaryDirectory()) }

    private func put<Value: FixedWidthInteger>(_ value: Value, at offset: Int, of bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { bytes.replaceSubrange(offset..<offset + $0.count, with: $0) }
    }

    @Test(arguments: [("softmax.bin", 1), ("tree.bin", 13), ("pruned.ftz", 17), ("labels.ftz", 41)])
    func `a file cut off anywhere is refused`(_ name: String, _ step: Int) throws {
        let directory = try TemporaryDirectory()
        let whole = try bytes(name)
        for length in Array(stride(from: 1, to: whole.count, by: step)) + [whole.count - 1] {
            let problem = try problem(Array(whole[..<length]), in: directory)
            if length < 8 {
                #expect(problem.hasPrefix("does not begin as a fastText model does"), "\(length): \(problem)")
            } else {
                let isClear = problem.hasPrefix("is truncated: ") && problem.hasSuffix(". Fetch it again")
                #expect(isClear, "\(length): \(problem)")
            }
        }
        #expect(try problem(whole + [0]) == "is damaged: 1 bytes behind its output matrix belong to nothing. Fetch it again")
    }

    @Test(
        arguments: [
            (Offset.dimension, 0, "dim is 0; it must be from 1 to 65536"),
            (Offset.dimension, -8, "dim is -8"),
            (Offset.dimension, 65_537, "dim is 65537"),
            (Offset.dimension, 65_536, ", 8]; it must have as many columns as dim, 65536"),
            (Offset.wordNgrams, .max, "wordNgrams is 2147483647; it must be from 0 to 100"),
            (Offset.wordNgrams, 2, "bucket is 0, but wordNgrams is 2"),
            (Offset.loss, 5, "loss is 5; fastText writes 1 to 4"),
            (Offset.kind, 1, "holds word vectors (cbow) and no labels; give a model that fastText trained as `supervised`"),
            (Offset.kind, 2, "holds word vectors (skipgram) and no labels"),
            (Offset.kind, 7, "model is 7; fastText writes 1, 2 or 3"),
            (Offset.buckets, -1, "bucket is -1; it must be from 0 to 2147483647"),
            (Offset.shortest, -1, "minn is -1"),
            (Offset.longest, 101, "maxn is 101; it must be from 0 to 100"),
            (Offset.longest, 3, "bucket is 0, but wordNgrams is 1 and maxn 3"),
            (Offset.size, .max, "its dictionary has 2147483647 entries, but"),
            (Offset.words, -1, "but -1 words"),
            (Offset.labels, 0, "but"),
            (Offset.version, 13, "is of fastText's format version 13; versions 11 and 12 are read"),
            (Offset.version, -1, "is of fastText's format version -1"),
            (
                Offset.magic, 1,
                "does not begin as a fastText model does. Give the .bin or .ftz that fastText's save_model wrote"
            ),
        ] as [(Int, Int32, String)])
    func `settings that cannot be are refused`(_ offset: Int, _ value: Int32, _ expected: String) throws {
        var damaged = try bytes("softmax.bin")
        put(value, at: offset, of: &damaged)
        let problem = try problem(damaged)
        #expect(problem.contains(expected), "\(problem)")
    }

    /// Each of these would be gigabytes, were it believed.
    @Test func `counts past the file's end are refused before anything is allocated`() throws {
        let whole = try bytes("ngrams.bin")
        var damaged = whole
        put(Int32.max, at: Offset.buckets, of: &damaged)
        #expect(try problem(damaged).contains("its dictionary needs 21474836"))

        damaged = whole
        put(Int32.max - 3, at: Offset.words, of: &damaged)
        put(Int32.max, at: Offset.size, of: &damaged)
        #expect(try problem(damaged).hasPrefix("is truncated: a dictionary of 2147483647 entries takes"))

        for (count, expected) in [
            (Int.max, "is damaged: the list of"), (1 << 40, "is truncated: the list of 1099511627776 kept"),
        ] {
            damaged = whole
            put(count, at: Offset.kept, of: &damaged)
            #expect(try problem(damaged).hasPrefix(expected))
        }

        let outputRows = whole.count - 3 * 10 * 4 - 16
        for (count, expected) in [
            (Int.max, "is damaged: the output matrix would take 9223372036854775807 times 40 bytes"),
            (1 << 56, "is truncated: the output matrix takes 2882303761517117440 bytes"),
            (2, "is damaged: its output matrix has 2 rows"), (-1, "is damaged: its output matrix is [-1, 10]"),
        ] {
            damaged = whole
            put(count, at: outputRows, of: &damaged)
            let problem = try problem(damaged)
            #expect(problem.hasPrefix(expected), "\(problem)")
        }
        damaged = whole
        put(Int64(9), at: outputRows + 8, of: &damaged)
        #expect(try problem(damaged).contains("its output matrix is [3, 9]; it must have as many columns as dim, 10"))
    }

    @Test func `a quantizer that does not fit its matrix is refused`() throws {
        let whole = try bytes("quantized.ftz")
        // From the end: the output matrix, its flag, the input's parts, and before these the quantizer's four numbers.
        let quantizer = whole.count - (3 * 8 * 4 + 16) - 1 - 8 * 1024 - 16
        for (offset, value) in [(0, 9), (4, 3), (8, 0), (8, 3), (12, 1), (0, -1), (8, Int32.max)] as [(Int, Int32)] {
            var damaged = whole
            put(value, at: quantizer + offset, of: &damaged)
            #expect(try problem(damaged).contains("the input matrix's quantizer has"), "\(offset) \(value)")
        }
        var damaged = whole
        // One part for all columns is a quantizer, but not the one of these codes.
        for (offset, value) in [(4, 1), (8, 8), (12, 8)] as [(Int, Int32)] {
            put(value, at: quantizer + offset, of: &damaged)
        }
        #expect(try problem(damaged).contains("codes; 1 a row are needed for parts of 8 columns"))
        damaged = whole
        damaged[whole.count - (3 * 8 * 4 + 16) - 1] = 2
        #expect(try problem(damaged).contains("qout is 2; it must be 0 or 1"))
    }

    /// Unpacked, this one would be no larger than others; but 65,536 columns for each byte would be.
    @Test func `an output matrix in wider parts than the library's is refused`() throws {
        let whole = try bytes("labels.ftz")
        let norms = 260 + 16 + 1024
        let header = whole.count - norms - 7 * 1024 - 16
        let codes = header - 260 * 4
        let counts = [7, 1, 7, 7].flatMap { withUnsafeBytes(of: Int32($0).littleEndian, Array.init) }
        var damaged = Array(whole[..<(codes + 260)]) + counts + Array(whole[(header + 16)...])
        put(Int32(260), at: codes - 4, of: &damaged)
        #expect(try problem(damaged).contains("its output matrix is cut into parts of 7 columns; the library's are of 2"))
    }

    @Test func `a pruned dictionary without a quantized matrix is refused, as by the library`() throws {
        var damaged = try bytes("softmax.bin")
        put(Int64(0), at: Offset.kept, of: &damaged)
        #expect(try problem(damaged).hasPrefix("has a pruned dictionary and no quantized matrix"))
    }

    @Test func `labels that cannot be told apart or written are refused`() throws {
        let whole = try bytes("softmax.bin")
        func replacing(_ old: String, with new: [UInt8]) throws -> [UInt8] {
            let start = try #require(whole.firstRange(of: Array(old.utf8))).lowerBound
            return Array(whole[..<start]) + new + Array(whole[(start + old.utf8.count)...])
        }
        #expect(try problem(replacing("neutral", with: Array("negative".utf8))).contains("label \"negative\" stands twice"))
        #expect(try problem(replacing("neutral", with: [0xC3, 0x28])).contains("label 1 is not UTF-8"))
        // No prefix that all have: the labels as they are.
        let directory = try TemporaryDirectory()
        try directory.write(replacing("__label__neutral", with: Array("neutral".utf8)), to: "m.bin")
        let model = try FastTextModel(path: directory.path + "/m.bin")
        #expect(model.labels == ["__label__negative", "neutral", "__label__positive"])
    }

    @Test func `counts that no tree can be built of are refused`() throws {
        let whole = try bytes("tree.bin")
        let label = try #require(whole.firstRange(of: Array("__label__topic0\0".utf8)))
        for count in [-1, 1_000_000_000_000_000, Int.max] {
            var damaged = whole
            put(count, at: label.upperBound, of: &damaged)
            #expect(try problem(damaged).contains("label 0 has a count of \(count)"))
        }
        // None at all makes one long path, which is a tree.
        var flat = whole
        for number in 0..<12 {
            let label = try #require(whole.firstRange(of: Array("__label__topic\(number)\0".utf8)))
            put(0, at: label.upperBound, of: &flat)
        }
        #expect(try problem(flat) == "(no error)")
    }

    @Test func `buckets that were made to collide are refused`() throws {
        // Multiples of the inverse of the table's multiplier (modulo 2³²) all begin at the same slot.
        var inverse: UInt32 = 1
        for _ in 0..<5 { inverse = inverse &* (2 &- inverse &* 0x9E37_79B1) }
        let whole = try bytes("pruned.ftz")
        let count = 4000
        var pairs: [UInt8] = []
        for number in 0..<count {
            pairs += withUnsafeBytes(of: (inverse &* UInt32(number)).littleEndian, Array.init)
            pairs += [0, 0, 0, 0]
        }
        let last = try #require(try FastTextFixtures.model("pruned.ftz").labels.last)
        let dictionaryEnd = try #require(whole.firstRange(of: Array("__label__\(last)\0".utf8))).upperBound + 9
        var damaged = Array(whole[..<dictionaryEnd]) + pairs + Array(whole[dictionaryEnd...])
        put(Int64(count), at: Offset.kept, of: &damaged)
        let problem = try problem(damaged)
        #expect(problem.contains("kept buckets were made to have the same hashes"), "\(problem)")
    }

    @Test func `files of other kinds are told from fastText's`() throws {
        for start in ["PK\u{3}\u{4}", "\u{80}\u{2}"] {
            let bytes = start.unicodeScalars.map { UInt8($0.value) } + [UInt8](repeating: 0, count: 100)
            #expect(try problem(bytes).hasPrefix("is a PyTorch checkpoint and no fastText model; give the directory"))
        }
        #expect(try problem(Array("2000000 300\nthe 0.1 0.2".utf8)).hasPrefix("does not begin as a fastText model does"))
        let directory = try TemporaryDirectory()
        try directory.write(Array("PK\u{3}\u{4}".utf8), to: "m.bin")
        #expect(message { _ = try FastTextModel(path: directory.path + "/none") }.contains("cannot be opened"))
    }

    @Test(arguments: FastTextFixtures.names)
    func `a random change never crashes`(_ name: String) throws {
        let directory = try TemporaryDirectory()
        let whole = try bytes(name)
        let texts = ["", "this is so good", "unknown wörds 😭", "__label__x </s>", String(repeating: "good ", count: 50)]
        for round in 0..<400 {
            var damaged = whole
            // Most of the file is numbers; what can break is in front, and around the matrices.
            let range = round.isMultiple(of: 2) ? 0..<min(whole.count, 600) : 0..<whole.count
            for _ in 0..<Int.random(in: 1...3) { damaged[Int.random(in: range)] = UInt8.random(in: 0...255) }
            try directory.write(damaged, to: "m.bin")
            guard let model = try? FastTextModel(path: directory.path + "/m.bin") else { continue }
            var scores = try model.makeScores()
            for text in texts {
                let ids = model.rows(text)
                #expect(ids == model.tokens(text).map(\.id))
                model.predict(ids, into: &scores)
                // Damaged weights show in the logits.
                if scores.logits.allSatisfy(\.isFinite) { #expect(scores.probabilities.allSatisfy { 0...1 ~= $0 }) }
            }
        }
    }
}
