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
    package static let weights = ["model.safetensors", "pytorch_model.bin"]

    /// A fastText model that stands in a directory: the first there is of these.
    package static let fastText = ["model.ftz", "model.bin"]

    /// Those of a repository's files that a model needs; empty where it is no model.
    package static func needed(of files: [String]) -> [String] {
        let files = Set(files)
        if files.contains("config.json"), let weights = weights.first(where: files.contains) {
            let others = ["config.json"] + tokenizer + references + [StoredEvaluation.fileName]
            return others.filter(files.contains) + [weights]
        }
        guard let fastText = fastText.first(where: files.contains) else { return [] }
        return (references + [StoredEvaluation.fileName]).filter(files.contains) + [fastText]
    }

    /// What a directory lacks to be a model, as far as its files' names tell; nil for nothing.
    static func lacking(directory: String) -> String? {
        // A link to a blob that somebody deleted is no file.
        let files = Set(
            ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [])
                .filter { FileManager.default.fileExists(atPath: "\(directory)/\($0)") })
        if fastText.contains(where: files.contains), !files.contains("config.json") { return nil }
        if !files.contains("config.json") { return "config.json" }
        if !weights.contains(where: files.contains) { return weights.joined(separator: " or ") }
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
