import Engine
import Foundation
import Testing

@Suite struct HubTests {
    private static let commit = String(repeating: "0123456789", count: 4)

    @Test func `names are those that huggingface_hub takes`() {
        for name in ["gpt2", "org/name", "a.b/c-d_e.1", "o/" + String(repeating: "n", count: 96)] {
            #expect(HubID(name) != nil, "\(name)")
        }
        let bad = [
            "", "/", "a/", "/a", "a/b/c", "a b", "a--b", "a..b", "../x", "-a/b", "a/b-", "a/.b", "a/b.git", "ä/b", "a/b\n",
            "o/" + String(repeating: "n", count: 97),
        ]
        for name in bad { #expect(HubID(name) == nil, "\(name)") }
        #expect(HubID("org/name")?.folder == "models--org--name")
    }

    @Test func `a name on the Hub is one with an organisation that is no path`() throws {
        let directory = try TemporaryDirectory()
        try FileManager.default.createDirectory(atPath: directory.path + "/a/b", withIntermediateDirectories: true)
        func reference(_ given: String?, _ environment: [String: String] = [:]) throws -> ModelReference {
            try ModelReference(given, environment: environment)
        }
        #expect(try reference(nil) == .shipped && reference(nil, ["APUS_MODEL": ""]) == .shipped)
        #expect(try reference("apus/minilm-l6-tweet-sentiment") == .shipped)
        #expect(try reference("org/name") == .hub(try #require(HubID("org/name"))))
        #expect(try reference(nil, ["APUS_MODEL": "org/name"]) == .hub(try #require(HubID("org/name"))))
        for path in ["name", "./org/name", "/org/name", "a/b/c", "../name"] { #expect(try reference(path) == .path(path)) }
        #expect(message { _ = try reference("") } == "--model: is empty; give a model, or leave it out")
    }

    @Test func `a snapshot is found by branch and commit, once it has all that a model needs`() throws {
        let home = try TemporaryDirectory()
        let cache = HubCache(environment: ["HF_HOME": home.path])
        let id = try #require(HubID("org/name"))
        let folder = "\(home.path)/hub/models--org--name"
        let snapshot = "\(folder)/snapshots/\(Self.commit)"
        for directory in [snapshot, "\(folder)/refs/pr"] {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        }
        for name in ["main", "pr/1"] { try home.write(Self.commit, to: "hub/models--org--name/refs/\(name)") }
        func write(_ file: String) throws {
            try home.write("{}", to: "hub/models--org--name/snapshots/\(Self.commit)/\(file)")
        }
        func absence() -> String {
            message { _ = try ModelDirectory.resolve("org/name", environment: ["HF_HOME": home.path]) }
        }
        #expect(absence().contains("in the cache only in part") && absence().contains("has no config.json"))
        try write("config.json")
        #expect(absence().contains("has no model.safetensors nor pytorch_model.bin"))
        try write("pytorch_model.bin")
        try write("vocab.json")
        #expect(absence().contains("has no tokenizer.json") && cache.snapshot(id, revision: "main") == nil)
        try write("merges.txt")
        for revision in ["main", "pr/1", Self.commit] {
            #expect(cache.snapshot(id, revision: revision)?.commit == Self.commit, "\(revision)")
        }
        #expect(cache.snapshot(id, revision: "other") == nil)
        let directory = try ModelDirectory.resolve("org/name", environment: ["HF_HOME": home.path])
        #expect(directory.name == "org/name" && directory.revision == Self.commit)
        #expect(
            message { _ = try ModelDirectory.resolve("/tmp", revision: "main") }.contains(
                "--revision: is for a model of the Hub"))
    }

    @Test func `of a repository's files only those that a model needs are wanted, the weights last`() {
        let files = [
            "README.md", "config.json", "tf_model.h5", "vocab.json", "merges.txt", "pytorch_model.bin", "onnx/model.onnx",
        ]
        #expect(ModelFiles.needed(of: files) == ["config.json", "vocab.json", "merges.txt", "pytorch_model.bin"])
        #expect(ModelFiles.needed(of: files + ["model.safetensors"]).last == "model.safetensors")
        #expect(
            ModelFiles.needed(of: ["README.md", "model.bin", "reference_texts.jsonl"]) == [
                "reference_texts.jsonl", "model.bin",
            ])
        #expect(ModelFiles.needed(of: ["README.md", "config.json"]).isEmpty)
        let shards = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
        let index = "pytorch_model.bin.index.json"
        let sharded = ["config.json", "training_args.bin", index] + shards
        #expect(ModelFiles.needed(of: sharded) == ["config.json", index] + shards)
    }
}
