import Foundation

/// The files of a model directory that Apus reads.
package enum ModelFiles {
    /// What the tokenizer is made of; each where the model has it.
    package static let tokenizer = [
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
        "merges.txt", "vocab.txt", "bpe.codes", "sentencepiece.bpe.model", "spiece.model", "spm.model",
    ]

    /// What says how the model should behave, whatever the precision of its weights.
    package static let references = [ReferenceProfile.fileName, "reference_texts.jsonl"]

    /// The weights of a transformer: the first there is of these.
    package static let weights = [
        "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
    ]

    static let weightsInWords = "model.safetensors nor pytorch_model.bin, nor an index of their shards"

    /// Whether a file says in which others the weights are.
    package static func isIndex(_ name: String) -> Bool { name.hasSuffix(".index.json") }

    /// Whether a file is of a form that holds weights.
    static func isWeights(_ name: String) -> Bool { name.hasSuffix(".safetensors") || name.hasSuffix(".bin") }

    /// A fastText model that stands in a directory: the first there is of these.
    package static let fastText = ["model.ftz", "model.bin"]

    /// Those of a repository's files that a model needs; empty where it is no model.
    package static func needed(of files: [String]) -> [String] {
        let files = Set(files)
        if files.contains("config.json"), let weights = weights.first(where: files.contains) {
            let others = ["config.json"] + tokenizer + references + [StoredEvaluation.fileName, Calibration.fileName]
            return others.filter(files.contains) + [weights] + shards(weights, of: files)
        }
        guard let fastText = fastText.first(where: files.contains) else { return [] }
        return (references + [StoredEvaluation.fileName, Calibration.fileName]).filter(files.contains) + [fastText]
    }

    /// The files with the weights that an index is for, by their names, which libraries make of the index': of
    /// `model.safetensors.index.json` the files `model-00001-of-00002.safetensors`.
    private static func shards(_ index: String, of files: Set<String>) -> [String] {
        guard isIndex(index) else { return [] }
        let weights = index.dropLast(".index.json".count)
        let type = weights.drop { $0 != "." }
        let start = weights.dropLast(type.count) + "-"
        return files.filter { $0.hasPrefix(start) && $0.hasSuffix(type) && !$0.contains("/") }.sorted()
    }

    /// The first shard that an index names and that is not among the files.
    package static func missingShard(_ index: String, _ directory: String, _ files: Set<String>) -> String? {
        // What is wrong with the index itself is for whoever loads it to say.
        guard let bytes = FileManager.default.contents(atPath: "\(directory)/\(index)"),
            let names = try? Checkpoint.shardNames(Array(bytes), index: index)
        else { return nil }
        return names.first { !files.contains($0) }
    }

    /// What a directory lacks to be a model, as far as its files' names tell; nil for nothing.
    static func lacking(directory: String) -> String? {
        // A link to a blob that somebody deleted is no file.
        let files = Set(
            ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [])
                .filter { FileManager.default.fileExists(atPath: "\(directory)/\($0)") })
        if fastText.contains(where: files.contains), !files.contains("config.json") { return nil }
        if !files.contains("config.json") { return "config.json" }
        guard let weights = weights.first(where: files.contains) else { return weightsInWords }
        if isIndex(weights), let missing = missingShard(weights, directory, files) { return missing }
        let tokenizers: [Set] = [
            ["tokenizer.json"], ["vocab.json", "merges.txt"], ["vocab.txt"], ["sentencepiece.bpe.model"], ["spiece.model"],
            ["spm.model"],
        ]
        return tokenizers.contains { $0.isSubset(of: files) }
            ? nil
            : "tokenizer.json, nor vocab.json and merges.txt, nor vocab.txt, nor a SentencePiece model "
                + "(sentencepiece.bpe.model, spiece.model, spm.model)"
    }
}
