import Engine
import Foundation
import Testing

@Suite struct QuantizationTests {
    private static let originals = ["roberta-tiny", "roberta-odd", "roberta-bf16", "bert-tiny", "bert-one-layer"]

    @Test(arguments: originals)
    func `an int8 checkpoint loads, and its products are those of the model it was made from`(_ name: String) throws {
        let folder = try TemporaryDirectory()
        let output = folder.path + "/int8"
        let result = try Quantization(try ModelDirectory(path: Fixtures.model(name)), to: output)
        #expect(result.matrices >= 8 && result.bytes < result.originalBytes)
        let tensors = try Checkpoint.readSafetensors(path: output + "/model.safetensors").tensors
        for (name, tensor) in tensors where tensor.type == .i8 {
            #expect(tensors[name + "_scale"]?.shape == [tensor.shape[0], 1] && tensors[name + "_scale"]?.type == .f32)
            #expect(!name.hasPrefix("classifier.out_proj") && name != "classifier.weight", "the last projection stays f32")
        }
        #expect(tensors.keys.contains { $0.hasSuffix("word_embeddings.weight_scale") }, "embeddings are int8 too")
        let original = try Classifier(model: Fixtures.model(name))
        let quantized = try Classifier(model: output)
        let ids = [Encoding(ids: Array(original.session.idsForTests(17)))]
        // Products are quantized in the same way at load; what differs is the embeddings' rounding.
        for (one, other) in zip(original.session.logits(ids)[0], quantized.session.logits(ids)[0]) {
            #expect(abs(one - other) < 0.25, "\(one) \(other)")
        }
    }

    @Test func `the same model gives the same bytes, and leaves nothing else behind`() throws {
        let folder = try TemporaryDirectory()
        let model = try ModelDirectory(path: Fixtures.model("roberta-tiny"))
        for name in ["a", "b"] { _ = try Quantization(model, to: "\(folder.path)/new/\(name)") }
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path + "/new/a").sorted()
        #expect(files == ["config.json", "merges.txt", "model.safetensors", "special_tokens_map.json", "vocab.json"])
        for file in files { #expect(try folder.read("new/a/\(file)") == folder.read("new/b/\(file)")) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/new").sorted() == ["a", "b"])
    }

    private static let words = "good bad so it is a day of all the time not never happy sad what who love hate you me great"
        .split(separator: " ")
    private static let texts = (0..<200).map { text in
        (0..<1 + text % 18).map { words[(text * 7 + $0 * 11 * (text + 3)) % words.count] }.joined(separator: " ")
    }
    private static let calibration = texts.enumerated().map { Record(text: $1, line: $0 + 1) }

    @Test(arguments: ["roberta-tiny", "bert-tiny", "albert-tiny", "deberta-tiny", "distilbert-tiny", "electra-tiny"])
    func `weights rounded by texts keep the logits of such texts nearer than weights rounded to the nearest`(
        _ name: String
    ) throws {
        let folder = try TemporaryDirectory()
        let model = try ModelDirectory(path: Fixtures.model(name))
        _ = try Quantization(model, to: folder.path + "/nearest")
        _ = try Quantization(model, to: folder.path + "/texts", calibration: Self.calibration)
        func logits(_ path: String) throws -> [Float] {
            try Classifier(model: path, options: .init(precision: .f32)).predict(Self.texts).flatMap(\.logits)
        }
        let exact = try logits(model.path)
        func error(_ form: String) throws -> Float {
            zip(try logits("\(folder.path)/\(form)"), exact).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        }
        let (texts, nearest) = (try error("texts"), try error("nearest"))
        #expect(texts < nearest, "\(texts), \(nearest) to the nearest")
    }

    @Test func `texts change roundings, biases and how first tokens are taken, nothing else`() throws {
        let folder = try TemporaryDirectory()
        let model = try ModelDirectory(path: Fixtures.model("roberta-tiny"))
        _ = try Quantization(model, to: folder.path + "/nearest")
        for name in ["a", "b"] {
            _ = try Quantization(model, to: "\(folder.path)/\(name)", calibration: Self.calibration)
            #expect(try folder.read("a/model.safetensors") == folder.read("\(name)/model.safetensors"))
        }
        let (nearest, texts) = (
            try Checkpoint.readSafetensors(path: folder.path + "/nearest/model.safetensors").tensors,
            try Checkpoint.readSafetensors(path: folder.path + "/a/model.safetensors").tensors
        )
        #expect(Set(nearest.keys) == Set(texts.keys))
        for (name, tensor) in nearest {
            let isRounded = tensor.type == .i8 && !name.contains("embeddings")
            // The last norm's outputs are the head's.
            let isBias = name.hasSuffix(".bias") && !name.contains("classifier") && !name.contains("2.output.LayerNorm")
            #expect(tensor.bytes.elementsEqual(try #require(texts[name]).bytes) != (isRounded || isBias), "\(name)")
        }
        let settings = try Fixtures.json(folder.path + "/nearest/config.json")
        let changed = try #require(try Fixtures.json(folder.path + "/a/config.json").object)
        let added = changed.filter { settings[$0.name] == nil }
        #expect(added == [.init("int8_reference", "empty_text")])
    }

    @Test func `a setting that is there stays, and an architecture without it gets none`() throws {
        for (name, setting) in [("bert-tiny", "none"), ("modernbert-tiny", nil)] as [(String, JSONValue?)] {
            let folder = try TemporaryDirectory(model: name)
            try folder.setConfig("int8_reference", setting)
            _ = try Quantization(
                try ModelDirectory(path: folder.path), to: folder.path + "/int8", calibration: Self.calibration)
            #expect(try Fixtures.json(folder.path + "/int8/config.json")["int8_reference"] == setting)
        }
    }

    @Test func `a text that no model takes is named by its line`() throws {
        let folder = try TemporaryDirectory()
        #expect(
            message {
                _ = try Quantization(
                    try ModelDirectory(path: Fixtures.model("bert-tiny")), to: folder.path + "/int8",
                    calibration: [Record(text: "good", line: 1), Record(text: "", line: 3)])
            } == "calibration, line 3: the text is empty; give one or more characters")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
    }

    @Test func `what cannot be quantized is refused before anything is written`() throws {
        let folder = try TemporaryDirectory()
        func refusal(_ model: String, _ output: String = "out") -> String {
            message { _ = try Quantization(try ModelDirectory(path: model), to: "\(folder.path)/\(output)") }
        }
        #expect(refusal(Fixtures.model("roberta-int8")).contains("is quantized already"))
        try folder.write("x", to: "file")
        #expect(refusal(Fixtures.model("bert-tiny"), "file").contains("exists already"))
        #expect(refusal(Fixtures.model("bert-tiny"), "file/out").contains("cannot be written"))
        let damaged = try TemporaryDirectory(model: "bert-tiny")
        var bytes = try damaged.read("model.safetensors")
        for index in bytes.count - 400..<bytes.count { bytes[index] = 0xFF }
        try damaged.write(bytes, to: "model.safetensors")
        #expect(refusal(damaged.path).contains("holds a number that is not finite"))
        try damaged.remove("vocab.txt")
        #expect(refusal(damaged.path).contains("has no tokenizer"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["file"])
    }
}

extension InferenceSession {
    /// Some ids that every fixture's vocabulary has.
    fileprivate func idsForTests(_ count: Int) -> [Int] { (0..<count).map { 3 + $0 * 7 % 40 } }
}
