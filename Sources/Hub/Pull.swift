import Engine
import Foundation

/// Fetches a model from the Hub into the standard cache.
public struct Pull {
    /// What a user may want to see of it.
    public enum Event: Sendable {
        /// Bytes that are there, of all that are needed, and how many of them were there before.
        case progress(done: Int, total: Int, before: Int)
        case note(String)
    }

    private let id: HubID
    private let revision: String
    private let settings: HubSettings
    private let cache: HubCache
    private let report: (Event) -> Void

    /// A revision of a model as the Hub has it now. With `HF_HUB_OFFLINE`, and for a commit that is there already, nothing is
    /// asked for; with `allowsStale`, what the cache has is taken where the Hub cannot be reached.
    public static func snapshot(
        of id: HubID, revision: String = "main", allowsStale: Bool,
        environment: [String: String] = ProcessInfo.processInfo.environment, report: @escaping (Event) -> Void
    ) throws(InputError) -> HubCache.Snapshot {
        let pull = Pull(
            id: id, revision: revision, settings: try HubSettings(environment: environment),
            cache: HubCache(environment: environment), report: report)
        return try pull.snapshot(allowsStale: allowsStale)
    }

    private func snapshot(allowsStale: Bool) throws(InputError) -> HubCache.Snapshot {
        guard Self.isRevision(revision) else {
            throw InputError("--revision", "\"\(revision)\" is not the name of a branch, a tag or a commit")
        }
        let known = cache.snapshot(id, revision: revision)
        // The cache as it was copied: its refs may have stayed behind.
        let cached = known ?? (revision == "main" ? cache.onlySnapshot(id) : nil)
        if let cached, settings.isOffline || HubCache.isCommit(revision) {
            if known == nil {
                report(.note("\(id): the cache does not say what main is; using its only snapshot, \(cached.commit)"))
            }
            return cached
        }
        guard !settings.isOffline else {
            throw InputError(
                "\(id), \(revision)",
                "\(cache.absence(of: id, revision: revision)), and HF_HUB_OFFLINE forbids to fetch it; "
                    + "unset that, or run apus pull \(id) first")
        }
        let tries = allowsStale && cached != nil ? 1 : Backoff.tries
        do {
            return try fetch(HubClient(settings), tries: tries)
        } catch {
            if case .transient(let problem, _, _) = error, allowsStale, let cached {
                report(.note("\(problem); using \(id) as the cache has it, commit \(cached.commit)"))
                return cached
            }
            throw error.inputError(id.description, tries: tries)
        }
    }

    private func fetch(_ client: HubClient, tries: Int) throws(HubError) -> HubCache.Snapshot {
        var backoff = Backoff()
        var found: HubListing?
        while found == nil {
            do throws(HubError) {
                found = try HubListing(client, id, revision: revision)
            } catch {
                try backoff.wait(after: error, tries: tries)
            }
        }
        let listing = found!
        if !listing.hasHashes {
            report(.note("\(id): the listing at \(settings.endpoint) has no hashes; each file's ETag and size decide"))
        }
        let folder = cache.folder(id)
        let snapshot = "\(folder)/snapshots/\(listing.commit)"
        let total = listing.files.reduce(0) { $0 + $1.size }
        var done = 0
        let before = listing.files.reduce(0) { $0 + min($1.size, bytesThere($1, folder)) }
        for file in listing.files {
            let link = "\(snapshot)/\(file.name)"
            let blob = "\(folder)/blobs/\(file.digest)"
            if !exists(link) {
                // Not before something is missing: a whole cache may be one that can only be read.
                for directory in [cache.root, "\(folder)/blobs", snapshot, "\(cache.root)/.locks/\(id.folder)"] {
                    try make(directory)
                }
                cache.tag()
                let lock = try FileLock("\(cache.root)/.locks/\(id.folder)/\(file.digest).lock") {
                    report(.note("\(id), \(file.name): waiting for another process that fetches it"))
                }
                if !exists(blob) {
                    let download = BlobDownload(
                        client: client, file: file, subject: "\(id), \(file.name)",
                        url: "/\(id)/resolve/\(listing.commit)/\(file.name)", commit: listing.commit, blob: blob)
                    try download.run(tries: tries) { report(.progress(done: done + $0, total: total, before: before)) }
                }
                try symlink("../../blobs/\(file.digest)", at: link)
                _ = lock
            }
            // The index comes before the shards: nobody should fetch some of them in vain.
            if ModelFiles.isIndex(file.name),
                let missing = ModelFiles.missingShard(file.name, snapshot, Set(listing.files.map(\.name)))
            {
                throw .permanent(
                    InputError(
                        id.description, "\(file.name) names the shard \(missing), which the repository has not"))
            }
            done += file.size
            report(.progress(done: done, total: total, before: before))
        }
        // Last, so that a name never stands for a snapshot that is not whole.
        // A cache that may only be read is as good as another while nothing changes.
        if cache.commit(id, revision: revision) != listing.commit {
            try writeReference("\(folder)/refs/\(revision)", listing.commit)
        }
        guard let complete = cache.snapshot(id, revision: listing.commit) else {
            throw .permanent(
                InputError(snapshot, "lacks files that were just fetched; did something delete them? Run again"))
        }
        return complete
    }

    private func bytesThere(_ file: HubFile, _ folder: String) -> Int {
        for path in ["\(folder)/blobs/\(file.digest)", "\(folder)/blobs/\(file.digest).incomplete"] {
            var status = stat()
            if stat(path, &status) == 0 { return Int(status.st_size) }
        }
        return 0
    }

    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    private func make(_ directory: String) throws(HubError) {
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        } catch {
            throw .permanent(
                InputError(
                    directory, "cannot be made (\(error.localizedDescription)); HF_HOME names another place for the cache"))
        }
    }

    /// Replaces whatever is at `path`: a link that leads nowhere, for one.
    private func symlink(_ target: String, at path: String) throws(HubError) {
        let temporary = "\(path).\(getpid()).partial"
        unlink(temporary)
        guard Foundation.symlink(target, temporary) == 0, rename(temporary, path) == 0 else {
            let reason = String(cString: strerror(errno))
            unlink(temporary)
            throw .permanent(InputError(path, "cannot be written: \(reason)"))
        }
    }

    private func writeReference(_ path: String, _ commit: String) throws(HubError) {
        try make((path as NSString).deletingLastPathComponent)
        do throws(InputError) {
            try FileReplacement.write(Array(commit.utf8), to: path)
        } catch {
            throw .permanent(error)
        }
    }

    /// As git's check-ref-format has it, as far as a path needs it: the name becomes one in the cache.
    private static func isRevision(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        return text.utf8.count <= 255
            && parts.allSatisfy { part in
                !part.isEmpty && !part.hasPrefix(".") && !part.contains("..") && !part.hasSuffix(".lock")
                    && part.unicodeScalars.allSatisfy {
                        $0.value > 0x20 && $0.value != 0x7F && !"~^:?*[\\".unicodeScalars.contains($0)
                    }
            }
    }
}
