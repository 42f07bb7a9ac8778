import Foundation

/// The cache that the Hub's clients share: `models--organisation--name/{blobs,refs,snapshots}`.
/// https://huggingface.co/docs/huggingface_hub/guides/manage-cache
public struct HubCache: Sendable {
    /// One commit's files.
    public struct Snapshot: Sendable, Equatable {
        public let path: String
        /// 40 hexadecimal digits.
        public let commit: String
    }

    /// The folder of all repositories.
    package let root: String

    /// `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else in `huggingface` in `XDG_CACHE_HOME` or `~/.cache`.
    public init(environment: [String: String] = ProcessInfo.processInfo.environment) {
        let given = Self.path("HF_HUB_CACHE", environment) ?? Self.path("HUGGINGFACE_HUB_CACHE", environment)
        root = given ?? Self.home(environment) + "/hub"
    }

    /// `HF_HOME`.
    package static func home(_ environment: [String: String]) -> String {
        path("HF_HOME", environment) ?? (path("XDG_CACHE_HOME", environment) ?? expand("~/.cache", environment))
            + "/huggingface"
    }

    /// The path in a variable, with `~` and `$NAME` expanded; nil where it is unset or empty.
    package static func path(_ name: String, _ environment: [String: String]) -> String? {
        environment[name].flatMap { $0.isEmpty ? nil : expand($0, environment) }
    }

    private static func expand(_ path: String, _ environment: [String: String]) -> String {
        let expanded = path.replacing(/\$(?:\{(\w+)\}|(\w+))/) { match in
            environment[String(match.1 ?? match.2 ?? "")] ?? String(match.0)
        }
        guard expanded == "~" || expanded.hasPrefix("~/") else { return (expanded as NSString).expandingTildeInPath }
        return (environment["HOME"] ?? NSHomeDirectory()) + expanded.dropFirst()
    }

    package func folder(_ id: HubID) -> String { "\(root)/\(id.folder)" }

    /// The commit that a revision stands for by what the cache knows: a branch or tag as it was when last fetched.
    package func commit(_ id: HubID, revision: String) -> String? {
        if Self.isCommit(revision) { return revision }
        guard let bytes = FileManager.default.contents(atPath: "\(folder(id))/refs/\(revision)") else { return nil }
        // Whoever wrote it by hand has ended the line.
        let commit = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        return Self.isCommit(commit) ? commit : nil
    }

    /// The one commit whose files are there, where the cache has no word on any name's: a copy of snapshots and blobs alone.
    package func onlySnapshot(_ id: HubID) -> Snapshot? {
        guard !FileManager.default.fileExists(atPath: "\(folder(id))/refs"),
            let names = try? FileManager.default.contentsOfDirectory(atPath: "\(folder(id))/snapshots"),
            let commit = names.first, names.count == 1, Self.isCommit(commit)
        else { return nil }
        return snapshot(id, revision: commit)
    }

    /// The files of a revision; nil where the cache has none, or not those that a model needs.
    public func snapshot(_ id: HubID, revision: String) -> Snapshot? {
        guard let commit = commit(id, revision: revision) else { return nil }
        let path = "\(folder(id))/snapshots/\(commit)"
        guard ModelFiles.lacking(directory: path) == nil else { return nil }
        return Snapshot(path: URL(fileURLWithPath: path).resolvingSymlinksInPath().path, commit: commit)
    }

    /// Why `snapshot` has none.
    package func absence(of id: HubID, revision: String) -> String {
        let path = commit(id, revision: revision).map { "\(folder(id))/snapshots/\($0)" }
        guard let path, FileManager.default.fileExists(atPath: path), let lacking = ModelFiles.lacking(directory: path)
        else {
            return "is not in the cache \(root)"
        }
        return "is in the cache only in part: \(path) has no \(lacking)"
    }

    /// Tells backup programs that this is a cache, as Python does (https://bford.info/cachedir/); not worth an error.
    package func tag() {
        let path = root + "/CACHEDIR.TAG"
        guard !FileManager.default.fileExists(atPath: path) else { return }
        let text = """
            Signature: 8a477f597d28d172789f06886806bc55
            # This file is a cache directory tag created by huggingface_hub.
            # For information about cache directory tags, see:
            #\thttps://bford.info/cachedir/

            """
        try? FileReplacement.write(Array(text.utf8), to: path)
    }

    package static func isCommit(_ text: String) -> Bool { text.utf8.count == 40 && isHexadecimal(text) }

    package static func isHexadecimal(_ text: String) -> Bool {
        text.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || UInt8(ascii: "a")...UInt8(ascii: "f") ~= $0 }
    }
}
