import Engine
import Foundation

/// What a repository holds at a revision, as far as a model needs it.
struct HubListing: Sendable {
    /// 40 hexadecimal digits.
    let commit: String
    /// The small ones first, the weights last.
    let files: [HubFile]
    /// Whether it has the hashes of all files, as the Hub's own has; a mirror's may have names only.
    let hasHashes: Bool

    /// A listing is a matter of kilobytes; a repository of many thousands of files takes some MB.
    private static let maximumBytes = 64 << 20
    /// Of one file: beyond, no model is meant, and sums stay within an Int.
    private static let maximumSize = 1 << 40

    init(_ client: HubClient, _ id: HubID, revision: String) throws(HubError) {
        let subject = revision == "main" ? id.description : "\(id), revision \(revision)"
        let unescaped = CharacterSet(charactersIn: "-._~").union(.alphanumerics)
        let escaped = revision.addingPercentEncoding(withAllowedCharacters: unescaped) ?? revision
        func fail(_ problem: String) -> HubError { .permanent(InputError(subject, problem)) }
        var bytes: [UInt8] = []
        var isWebPage = false
        try client.get("/api/models/\(id)/revision/\(escaped)?blobs=true", subject) { response in
            isWebPage = response.isWebPage()
            return { chunk throws(HubError) in
                bytes += chunk
                guard bytes.count <= Self.maximumBytes else {
                    throw fail("the Hub's listing of its files is longer than \(Self.maximumBytes) bytes")
                }
            }
        }
        guard let json = try? JSONValue(parsing: bytes) else {
            throw fail(
                "the Hub's listing of its files is \(isWebPage ? "a web page" : "no JSON"); is HF_ENDPOINT right? "
                    + "(\(client.settings.endpoint))")
        }
        guard let commit = json["sha"]?.string, HubCache.isCommit(commit), let siblings = json["siblings"]?.array else {
            throw fail("the Hub's listing has no commit (\"sha\") and files (\"siblings\")")
        }
        if HubCache.isCommit(revision), commit != revision { throw fail("the Hub lists commit \(commit) instead") }
        var entries: [String: JSONValue] = [:]
        for sibling in siblings {
            if let name = sibling["rfilename"]?.string { entries[name] = sibling }
        }
        let needed = ModelFiles.needed(of: Array(entries.keys))
        guard !needed.isEmpty else {
            let found = entries.keys.sorted().prefix(8).joined(separator: ", ")
            throw fail(
                "is not a model that Apus can serve: it needs config.json with model.safetensors or pytorch_model.bin, or fastText's "
                    + "model.bin or model.ftz; it has \(found.isEmpty ? "no files" : found)")
        }
        var files: [HubFile] = []
        var hasHashes = true
        for name in needed {
            let entry = entries[name]!
            if entry["lfs"] == nil, entry["blobId"] == nil {
                hasHashes = false
                files.append(try Self.file(name, of: id, commit, client))
                continue
            }
            let large = entry["lfs"].flatMap { $0.isNull ? nil : $0 }
            let size = (large ?? entry)["size"]?.integer
            let digest = large.map { $0["sha256"]?.string ?? $0["oid"]?.string } ?? entry["blobId"]?.string
            guard let size, 0...Self.maximumSize ~= size, let digest, HubCache.isHexadecimal(digest),
                digest.utf8.count == (large == nil ? 40 : 64)
            else { throw fail("the Hub's listing gives no size and hash of \(name) that could be") }
            files.append(HubFile(name: name, size: size, digest: digest))
        }
        self.commit = commit
        self.files = files
        self.hasHashes = hasHashes
    }

    /// A file that is only named, by what the Hub answers to who would fetch it.
    private static func file(
        _ name: String, of id: HubID, _ commit: String, _ client: HubClient
    ) throws(HubError) -> HubFile {
        var answer = HubClient.Metadata()
        try client.get("/\(id)/resolve/\(commit)/\(name)", "\(id), \(name)") { response in
            answer = response.metadata
            answer.etag = answer.etag ?? response.head["etag"].map(HubClient.tag)
            answer.size = answer.size ?? response.head["content-length"].flatMap { Int($0) }
            return nil
        }
        guard let size = answer.size, 0...maximumSize ~= size, let etag = answer.etag,
            etag.wholeMatch(of: /[A-Za-z0-9_-]{1,128}/) != nil
        else {
            throw .permanent(
                InputError(
                    "\(id), \(name)", "the Hub's listing has no hash of it, and its answer no ETag and size that could be"))
        }
        return HubFile(name: name, size: size, digest: etag)
    }
}
