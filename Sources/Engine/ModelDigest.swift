import Foundation

/// What decides a model's answers, each part with a hash of its own, and one hash of all: it changes where weights, config.json,
/// a tokenizer's file, the text preparation or a calibration does. The precision stands beside it, not in it, as do options of a
/// request (`--threshold`, `--long-texts`).
public struct ModelDigest: Sendable, Equatable {
    public struct Part: Sendable, Equatable {
        /// `weights`, a file's name, or `text_preparation`.
        public let name: String
        /// The SHA-256 in hexadecimal; of the text preparation its name.
        public let value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// In a fixed order; a file that the model has not is left out.
    public let parts: [Part]
    /// The SHA-256, in hexadecimal, of the lines `VALUE  NAME`, a part each, as sha256sum prints them.
    public let hexadecimal: String

    public init(parts: [Part]) {
        self.parts = parts
        let lines = parts.map { "\($0.value)  \($0.name)\n" }.joined()
        hexadecimal = Array(lines.utf8).withUnsafeBytes { $0.sha256() }
    }

    /// Without a calibration.
    init(_ directory: ModelDirectory, weights: String, preparation: TextPreparation) {
        var parts = [Part("weights", weights)]
        if !directory.isFastText {
            for name in ["config.json"] + ModelFiles.tokenizer {
                let path = directory.file(name)
                guard FileManager.default.fileExists(atPath: path) else { continue }
                // A file that cannot be read, or is empty, is a part all the same.
                parts.append(Part(name, (try? MappedFile(path: path).sha256()) ?? "unreadable"))
            }
        }
        parts.append(Part("text_preparation", preparation.rawValue))
        self.init(parts: parts)
    }

    /// The parts as they stand in a report.
    var json: JSONValue { .object(parts.map { .init($0.name, .string($0.value)) }) }

    /// How the parts differ from those that were stored, in words; nil where they do not, or nothing is known of them.
    func changes(since stored: JSONValue?) -> String? {
        guard let stored = stored?.object, !stored.isEmpty else { return nil }
        let before = Dictionary(stored.map { ($0.name, $0.value.string ?? "") }, uniquingKeysWith: { $1 })
        var changes: [String] = []
        for part in parts where before[part.name] != part.value {
            let isHash = part.name != "text_preparation"
            changes.append(
                before[part.name].map { isHash ? "\(part.name) changed" : "\(part.name) was \($0), now \(part.value)" }
                    ?? "\(part.name) was added")
        }
        let names = Set(parts.map(\.name))
        changes += before.keys.filter { !names.contains($0) }.sorted().map { "\($0) is gone" }
        return changes.isEmpty ? nil : changes.listed
    }
}
