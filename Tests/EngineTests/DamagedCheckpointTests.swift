import Engine
import Foundation
import Testing

/// `APUS_FUZZ_CASES` says how many damaged files of a form are tried, `APUS_FUZZ_SEED` which; `make fuzz` tries a million.
enum Fuzzing {
    private static let environment = ProcessInfo.processInfo.environment
    static let cases = environment["APUS_FUZZ_CASES"].flatMap { Int($0) } ?? 10_000
    static let seed = environment["APUS_FUZZ_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)
}

/// Checkpoints with random damage, of every form: the answer is tensors or one clear error, on one line.
@Suite struct DamagedCheckpointTests {
    /// - Parameters:
    ///   - places: where the damage may be; most of a file is numbers, which nothing depends on.
    ///   - others: files that stand beside it as they are.
    private func damage(
        _ name: String, _ whole: [UInt8], in places: [Range<Int>], beside others: [(name: String, bytes: [UInt8])] = []
    ) throws {
        print("seed of the damaged \(name): \(Fuzzing.seed)")
        var random = SplitMix64(state: Fuzzing.seed)
        let directory = try TemporaryDirectory()
        for (name, bytes) in others { try directory.write(bytes, to: name) }
        for round in 0..<Fuzzing.cases {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: places.randomElement(using: &random)!, using: &random) % bytes.count
                switch Int.random(in: 0..<6, using: &random) {
                case 0...2: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 3: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 4: bytes.insert(bytes[bytes.indices.randomElement(using: &random)!], at: place)
                default: bytes.removeLast(min(bytes.count - 1, Int.random(in: 0..<40, using: &random)))
                }
            }
            try directory.write(bytes, to: name)
            do {
                for tensor in try Checkpoint.open(directory: directory.path).tensors.values {
                    #expect(tensor.shape.allSatisfy { $0 >= 0 }, "seed \(Fuzzing.seed), round \(round)")
                }
            } catch {
                #expect(!"\(error)".contains("\n"), "seed \(Fuzzing.seed), round \(round): \(error)")
            }
        }
    }

    private func fixture(_ model: String, _ file: String) throws -> [UInt8] {
        try Fixtures.bytes(Fixtures.model(model) + "/" + file)
    }

    @Test func `damaged safetensors never crash`() throws {
        let whole = try fixture("bert-one-layer", "model.safetensors")
        try damage("model.safetensors", whole, in: [0..<2500])
    }

    @Test func `damaged zips of PyTorch never crash`() throws {
        let whole = try fixture("roberta-bf16", "pytorch_model.bin")
        // The pickle at the start, the zip's directory at the end.
        try damage("pytorch_model.bin", whole, in: [0..<6000, whole.count - 6000..<whole.count])
    }

    @Test func `what PyTorch wrote before zips is read, and damaged never crashes`() throws {
        let whole = Self.legacy
        let directory = try TemporaryDirectory()
        try directory.write(whole, to: "pytorch_model.bin")
        let tensor = try #require(try Checkpoint.open(directory: directory.path).tensors["a"])
        #expect(tensor.shape == [2, 2] && tensor.type == .f32 && tensor.bytes.count == 16)
        try damage("pytorch_model.bin", whole, in: [0..<whole.count])
    }

    @Test func `damaged indexes of shards never crash`() throws {
        let shard = try fixture("bert-one-layer", "model.safetensors")
        let name = "model-00001-of-00001.safetensors"
        let index = #"{"metadata": {"total_size": 17844}, "weight_map": {"a": "\#(name)", "b": "\#(name)"}}"#
        try damage(
            "model.safetensors.index.json", Array(index.utf8), in: [0..<index.utf8.count], beside: [(name, shard)])
    }

    /// `torch.save({"a": torch.zeros(2, 2)}, …, _use_new_zipfile_serialization=False)`, but for the storage's key.
    private static var legacy: [UInt8] {
        func text(_ text: String) -> [UInt8] { [0x58, UInt8(text.utf8.count), 0, 0, 0] + Array(text.utf8) }
        func pickle(_ parts: [UInt8]...) -> [UInt8] { [0x80, 2] + parts.flatMap { $0 } + Array(".".utf8) }
        func global(_ module: String, _ name: String) -> [UInt8] { Array("c\(module)\n\(name)\n".utf8) }
        let dictionary = global("collections", "OrderedDict") + Array(")R".utf8)
        let storage =
            Array("((".utf8) + text("storage") + global("torch", "FloatStorage") + text("0") + text("cpu")
            + [0x4B, 4] + Array("NtQ".utf8)
        let tensor =
            global("torch._utils", "_rebuild_tensor_v2") + storage + [
                0x4B, 0, 0x4B, 2, 0x4B, 2, 0x86, 0x4B, 2, 0x4B, 1, 0x86,
            ]
            + [0x89] + dictionary + Array("tR".utf8)
        return pickle([0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19])  // the magic number
            + pickle([0x4D, 0xE9, 0x03])  // the protocol, 1001
            + pickle(Array("}(".utf8), text("little_endian"), [0x88], Array("u".utf8))
            + pickle(dictionary, Array("(".utf8), text("a"), tensor, Array("u".utf8))
            + pickle(Array("]".utf8), text("0"), Array("a".utf8)) + [4, 0, 0, 0, 0, 0, 0, 0]
            + [UInt8](repeating: 0, count: 16)
    }
}
