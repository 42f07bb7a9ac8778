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
