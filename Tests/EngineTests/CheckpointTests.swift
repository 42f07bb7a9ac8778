import Engine
import Foundation
import Testing

/// Checkpoints are untrusted: whatever is in them, the answer is a model or one clear error.
@Suite struct CheckpointTests {
    private func load(_ directory: TemporaryDirectory) throws -> String {
        let model = try ModelDirectory(path: directory.path)
        return message { _ = try Classifier(model) }
    }

    // MARK: - safetensors

    /// A safetensors file with this header and so many data bytes.
    private func safetensors(_ header: String, data: Int) -> [UInt8] {
        withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian, Array.init) + Array(header.utf8)
            + [UInt8](repeating: 0, count: data)
    }

    @Test(arguments: [
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 4, "outside the file's 4 data bytes"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8, "outside the file's 8 data bytes"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}"#, 8, "outside the file's 8 data bytes"),
        (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8, "has 8 bytes; shape [3] in F32 needs 12"),
        (
            #"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#, 0,
            "a shape that is not a list of sizes"
        ),
        (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}}"#, 8, "a shape that is not a list of sizes"),
        (
            #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
            12,
            "tensor \"b\" overlaps"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#,
            12,
            "has 4 bytes before tensor \"b\" that belong to none"
        ),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 8, "has 4 bytes behind the last tensor"),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            8,
            "stands twice in the header"
        ),
        (#"{"a":{"dtype":"F8_E5M2","shape":[4],"data_offsets":[0,4]}}"#, 4, "has dtype F8_E5M2; supported are"),
        (#"{"a":{"dtype":"F32"}}"#, 0, "needs dtype, shape and data_offsets"),
        (#"{"a":"#, 0, "its header is not JSON"),
        (#"[1]"#, 0, "its header is not JSON"),
    ])
    func `a safetensors header that lies is refused`(_ header: String, _ data: Int, _ expected: String) throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        try directory.write(safetensors(header, data: data), to: "model.safetensors")
        let message = try load(directory)
        #expect(message.hasPrefix("model.safetensors: ") && message.contains(expected), "\(message)")
    }

    @Test func `a truncated safetensors file is refused at every length`() throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        let whole = try directory.read("model.safetensors")
        for length in [1, 7, 8, 9, 100, 2000, whole.count / 2, whole.count - 1] {
            try directory.write(Array(whole[..<length]), to: "model.safetensors")
            #expect(try load(directory).hasPrefix("model.safetensors: "), "\(length) bytes")
        }
        try directory.write([], to: "model.safetensors")
        #expect(try load(directory).hasSuffix("model.safetensors: is empty"))
        try directory.write([UInt8](repeating: 0xFF, count: 100), to: "model.safetensors")
        #expect(try load(directory).contains("claims a header of 18446744073709551615 bytes"))
    }

    // MARK: - pytorch_model.bin

    @Test func `a truncated pytorch_model.bin is refused at every length`() throws {
        let directory = try TemporaryDirectory(model: "roberta-bf16")
        let whole = try directory.read("pytorch_model.bin")
        for length in [1, 21, 22, 1000, whole.count / 2, whole.count - 1] {
            try directory.write(Array(whole[..<length]), to: "pytorch_model.bin")
            #expect(try load(directory).hasPrefix("pytorch_model.bin: "), "\(length) bytes")
        }
    }

    /// A zip file of one stored entry, `archive/data.pkl`.
    private func archive(pickle: [UInt8]) -> [UInt8] {
        func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
            withUnsafeBytes(of: value.littleEndian, Array.init)
        }
        let name = Array("archive/data.pkl".utf8)
        let size = bytes(UInt32(pickle.count)) + bytes(UInt32(pickle.count)) + bytes(UInt16(name.count)) + bytes(UInt16(0))
        let fixed = bytes(UInt16(20)) + bytes(UInt16(0)) + bytes(UInt16(0)) + bytes(UInt32(0)) + bytes(UInt32(0))
        let local = bytes(UInt32(0x0403_4b50)) + fixed + size + name + pickle
        let central =
            bytes(UInt32(0x0201_4b50)) + bytes(UInt16(20)) + fixed + size + bytes(UInt16(0)) + bytes(UInt16(0))
            + bytes(UInt16(0)) + bytes(UInt32(0)) + bytes(UInt32(0)) + name
        return local + central + bytes(UInt32(0x0605_4b50)) + bytes(UInt32(0)) + bytes(UInt16(1)) + bytes(UInt16(1))
            + bytes(UInt32(central.count)) + bytes(UInt32(local.count)) + bytes(UInt16(0))
    }

    private func load(pickle: [UInt8]) throws -> String {
        let directory = try TemporaryDirectory(model: "roberta-bf16")
        try directory.write(archive(pickle: pickle), to: "pytorch_model.bin")
        return try load(directory)
    }

    @Test func `a pickle that would run a command is refused by the command's name`() throws {
        // pickle.dumps of an object whose __reduce__ gives (os.system, ("touch /tmp/apus-owned",)), protocol 2.
        let classic = Array(
            "\u{2}cposix\nsystem\nq\u{0}X\u{15}\u{0}\u{0}\u{0}touch /tmp/apus-ownedq\u{1}\u{2}q\u{2}Rq\u{3}.".utf8)
        #expect(
            try load(pickle: [0x80] + classic).contains("its pickle names posix.system, which a state dict does not need"))
        #expect(try load(pickle: [0x80, 2] + Array("cos\nsystem\n.".utf8)).contains("its pickle names os.system"))
        #expect(try load(pickle: [0x80, 2] + Array("cbuiltins\neval\n.".utf8)).contains("its pickle names builtins.eval"))
        #expect(!FileManager.default.fileExists(atPath: "/tmp/apus-owned"))
        let stackGlobal: [UInt8] = [0x80, 4, 0x8c, 2] + Array("os".utf8) + [0x8c, 6] + Array("system".utf8) + [0x93, 0x2E]
        #expect(try load(pickle: stackGlobal).contains("its pickle names os.system"))
    }

    @Test(
        arguments: [
            ([0x80, 2, 0x7D], "its pickle is truncated"),  // } and no end
            ([0x80, 2, 0x2E], "its pickle is damaged"),  // STOP on an empty stack
            ([0x80, 1, 0x2E], "uses pickle protocol 1"),
            ([0x80, 2, 0x4E, 0x2E], "does not hold a state dict"),  // None
            ([0x80, 2, 0x69], "pickle opcode 0x69 at byte 2"),  // INST
            // {1: 2}
            ([0x80, 2, 0x7D, 0x4B, 1, 0x4B, 2, 0x73, 0x2E], "its state dict holds something else than named tensors"),
            ([0x80, 2, 0x5D, 0x71, 0, 0x68, 0, 0x61, 0x2E], "its pickle is damaged"),  // a list put into itself
            ([0x80, 2, 0x58, 0xFF, 0xFF, 0xFF, 0xFF], "its pickle is truncated"),  // a string of 4 GB
            ([0x80, 2, 0x75], "its pickle is damaged"),  // SETITEMS without a mark
            ([0x80, 2, 0x68, 9, 0x2E], "its pickle is damaged"),  // a memo that was never made
        ] as [([UInt8], String)])
    func `a pickle that is no state dict is refused`(_ pickle: [UInt8], _ expected: String) throws {
        #expect(try load(pickle: pickle).contains(expected))
    }

    @Test func `a pickle nested a million deep is refused`() throws {
        let tuples = [0x80, 2, 0x29] + [UInt8](repeating: 0x85, count: 1_000_000) + [0x2E]
        #expect(try load(pickle: tuples).contains("nests deeper than 32 levels"))
        // Lists made first and put into each other from the outside in: [], memo 0, [], memo 1, …
        var lists: [UInt8] = [0x80, 2]
        for index in UInt32(0)..<100_000 {
            lists += [0x5D, 0x72] + withUnsafeBytes(of: index.littleEndian, Array.init) + [0x30]
        }
        #expect(try load(pickle: lists + [0x2E]).hasPrefix("pytorch_model.bin: "))
    }

    // MARK: - Weights and configuration

    @Test func `weights that do not fit the configuration are named with both shapes`() throws {
        let directory = try TemporaryDirectory(model: "roberta-tiny")
        try directory.setConfig("id2label", ["0": "a", "1": "b"])
        #expect(
            try load(directory)
                == "model.safetensors: tensor \"classifier.out_proj.weight\" has shape [3, 48]; config.json (id2label, hidden_size) "
                + "needs [2, 48]. Check that both come from the same checkpoint")
    }

    @Test func `a missing tensor and an unknown one are named`() throws {
        let directory = try TemporaryDirectory(model: "roberta-tiny")
        try directory.setConfig("num_hidden_layers", 4)
        #expect(
            try load(directory).hasPrefix(
                "model.safetensors: has no tensor \"roberta.encoder.layer.3.attention.self.query.weight\""))
        try directory.setConfig("num_hidden_layers", 2)
        #expect(
            try load(directory).hasPrefix(
                "model.safetensors: tensor \"roberta.encoder.layer.2.attention.output.LayerNorm.bias\" (and 15 more)"))
    }

    @Test func `an unknown architecture and a missing one are named`() throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        try directory.setConfig("model_type", "funnel")
        #expect(
            try load(directory).hasPrefix(
                "config.json: architecture BertForSequenceClassification, model_type funnel is not supported; supported are "
                    + "Roberta, Bert, "))
        try directory.setConfig("model_type", nil)
        #expect(try load(directory) == "(no error)")
        try directory.setConfig("architectures", ["FunnelForSequenceClassification"])
        #expect(try load(directory).hasPrefix("config.json: architecture FunnelForSequenceClassification is not supported"))
        try directory.setConfig("architectures", nil)
        #expect(try load(directory).hasPrefix("config.json: has neither \"model_type\" nor \"architectures\""))
    }

    @Test(
        arguments: [
            ("hidden_act", "mish", "hidden_act \"mish\" is not supported; supported: gelu, "),
            ("position_embedding_type", "relative_key", "position_embedding_type \"relative_key\" is not supported"),
            ("problem_type", "token_classification", "problem_type \"token_classification\" is not supported"),
            ("is_decoder", true, "is_decoder true is not supported"),
            ("hidden_size", 0, "hidden_size must be a whole number from 1"),
            ("hidden_size", .number(1e30), "hidden_size must be a whole number from 1"),
            ("hidden_size", "32", "hidden_size must be a whole number from 1"),
            ("num_attention_heads", 5, "hidden_size 32 is not a multiple of num_attention_heads 5"),
            ("layer_norm_eps", 0, "layer_norm_eps must be a number between 0 and 1"),
            ("pad_token_id", 10_000, "pad_token_id must be a whole number from 0 to 199"),
            ("id2label", ["0": "a", "2": "b"], "id2label must map"),
            ("id2label", ["0": "a", "1": ["b"]], "id2label must map"),
            ("id2label", [:], "id2label must map"), ("type_vocab_size", -1, "type_vocab_size must be a whole number from 1"),
            ("text_preparation", "upper", "text preparation \"upper\" is unknown"),
            ("quantization_config", ["quant_method": "gptq"], "quantization_config gptq is not supported"),
        ] as [(String, JSONValue?, String)])
    func `a setting that is not supported is named`(_ name: String, _ value: JSONValue?, _ expected: String) throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        try directory.setConfig(name, value)
        let message = try load(directory)
        #expect(message.hasPrefix("config.json") && message.contains(expected), "\(message)")
    }

    @Test(arguments: [-1, 0, 1_000_000_000])
    func `num_labels without id2label has bounds`(_ count: Int) throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        try directory.setConfig("id2label", nil)
        try directory.setConfig("num_labels", .integer(count))
        #expect(try load(directory) == "config.json: num_labels \(count) is not supported; supported: 1 to 4096")
    }

    @Test func `int8 weights need a configuration that says so`() throws {
        let directory = try TemporaryDirectory()
        let shipped = try ModelDirectory.shipped().path
        for file in ["config.json", "model.safetensors", "tokenizer.json"] {
            try FileManager.default.copyItem(atPath: "\(shipped)/\(file)", toPath: "\(directory.path)/\(file)")
        }
        try directory.setConfig("quantization_config", nil)
        #expect(try load(directory).contains("is I8, but config.json has no quantization_config"))
    }

    @Test func `a directory that is missing, a file, or without its files is named`() throws {
        #expect(
            message { _ = try ModelDirectory(path: "/nonexistent/model") }.hasPrefix(
                "/nonexistent/model: this model directory does not exist"))
        #expect(message { _ = try Classifier(model: #filePath) }.contains("does not begin as a fastText model does"))
        let directory = try TemporaryDirectory(model: "bert-tiny")
        try directory.remove("model.safetensors")
        #expect(try load(directory).contains("has no weights: neither model.safetensors nor pytorch_model.bin"))
        try directory.remove("config.json")
        #expect(
            message { _ = try ModelDirectory(path: directory.path) }.contains(
                "has no config.json, so it is not a model directory"))
    }

    @Test func `weights that are not numbers are an error, not a label`() throws {
        let directory = try TemporaryDirectory(model: "bert-tiny")
        var bytes = try directory.read("model.safetensors")
        for index in bytes.count - 400..<bytes.count { bytes[index] = 0xFF }
        try directory.write(bytes, to: "model.safetensors")
        let classifier = try Classifier(try ModelDirectory(path: directory.path))
        #expect(message { _ = try classifier.predict(["hello"]) }.contains("its weights are damaged"))
    }

    @Test func `every f16 value converts exactly`() {
        #expect(StoredMatrix.halfToFloat(0x3C00) == 1)
        #expect(StoredMatrix.halfToFloat(0xC000) == -2)
        #expect(StoredMatrix.halfToFloat(0x7BFF) == 65504)
        #expect(StoredMatrix.halfToFloat(0x0001) == 0x1p-24)
        #expect(StoredMatrix.halfToFloat(0x8000).sign == .minus && StoredMatrix.halfToFloat(0x8000) == 0)
        #expect(StoredMatrix.halfToFloat(0xFC00) == -.infinity)
        #expect(StoredMatrix.halfToFloat(0x7E00).isNaN)
        for bits in UInt16(0x0400)..<0x7C00 {  // all positive normal ones, by the definition
            let expected =
                Float(1 + Double(bits & 0x3FF) / 1024) * Float(sign: .plus, exponent: Int(bits >> 10) - 15, significand: 1)
            #expect(StoredMatrix.halfToFloat(bits) == expected)
        }
    }
}
