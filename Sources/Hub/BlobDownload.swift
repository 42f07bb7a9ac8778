import Engine
import Foundation

/// One file of a repository, by what the Hub's listing says of it.
struct HubFile: Sendable {
    let name: String
    let size: Int
    /// What its bytes must be: SHA-256 for large files, git's SHA-1 for small ones, in hexadecimal. Its name in the cache.
    /// Where the listing has no hashes, its ETag: one of the two as a rule, else only a name.
    let digest: String

    /// Of these bytes, of the kind that `digest` is; nil where that is no hash.
    func digest(of bytes: UnsafeRawBufferPointer) -> (kind: String, value: String)? {
        guard HubCache.isHexadecimal(digest) else { return nil }
        return switch digest.utf8.count {
        case 40: ("git SHA-1", bytes.gitSHA1())
        case 64: ("SHA-256", bytes.sha256())
        default: nil
        }
    }
}

/// Fetches a file's bytes into the cache: into `DIGEST.incomplete`, from where an earlier try ended, then checked and renamed.
struct BlobDownload {
    let client: HubClient
    let file: HubFile
    /// `organisation/name, file`, for errors.
    let subject: String
    /// The path on the Hub.
    let url: String
    let commit: String
    /// Where the checked bytes will be.
    let blob: String

    private var incomplete: String { blob + ".incomplete" }

    /// - Parameters:
    ///   - tries: how many may bring nothing new.
    ///   - progress: how many bytes are there.
    func run(tries: Int, progress: @escaping (Int) -> Void) throws(HubError) {
        let descriptor = open(incomplete, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { throw writeError() }
        defer { close(descriptor) }
        var backoff = Backoff()
        // A hub without ranges begins anew each time: what counts is how far it ever came.
        var furthest = Int(lseek(descriptor, 0, SEEK_END))
        while true {
            let start = Int(lseek(descriptor, 0, SEEK_END))
            if start > file.size { try truncate(descriptor) }
            if start == file.size { break }
            do throws(HubError) {
                try fetch(from: start > file.size ? 0 : start, to: descriptor, progress)
                let end = Int(lseek(descriptor, 0, SEEK_END))
                if end < file.size { throw .transient("the connection ended after \(end) of \(file.size) bytes") }
            } catch {
                let end = Int(lseek(descriptor, 0, SEEK_END))
                if end > furthest { backoff.reset() }
                furthest = max(furthest, end)
                if case .transient(let problem, let after, _) = error {
                    try backoff.wait(after: .transient(problem, after: after, subject: subject), tries: tries)
                } else {
                    throw error
                }
            }
        }
        try verify()
        guard fsync(descriptor) == 0, rename(incomplete, blob) == 0 else { throw writeError() }
    }

    private func fetch(
        from start: Int, to descriptor: Int32, _ progress: @escaping (Int) -> Void
    ) throws(HubError) {
        try client.get(url, subject, from: start) { response throws(HubError) in
            let status = response.head.status
            var end = start
            if status != 416 { try check(response) }
            switch status {
            case 416:
                unlink(incomplete)
                throw .permanent(
                    InputError(subject, "is shorter than the \(file.size) bytes of the Hub's listing. Try again later"))
            case 206:
                guard response.head["content-range"]?.hasPrefix("bytes \(start)-") == true else {
                    throw .permanent(
                        InputError(subject, "the Hub answered with another part of the file than was asked for"))
                }
            case 200:
                if start > 0 { try truncate(descriptor) }
                end = 0
            default: throw .permanent(InputError(subject, "the Hub answered with status \(status)"))
            }
            return { chunk throws(HubError) in
                end += chunk.count
                guard end <= file.size else {
                    unlink(incomplete)
                    throw .permanent(
                        InputError(subject, "is larger than the \(file.size) bytes of the Hub's listing. Try again later"))
                }
                guard FileReplacement.writeAll(Array(chunk), to: descriptor) else { throw writeError() }
                progress(end)
            }
        }
    }

    /// The answer must be about this file.
    private func check(_ response: HubClient.Response) throws(HubError) {
        if let commit = response.metadata.commit, commit != self.commit {
            throw .permanent(InputError(subject, "the Hub answered for commit \(commit), not \(self.commit)"))
        }
        guard let etag = response.metadata.etag else {
            // A mirror that redirects need not know one; the bytes will tell.
            guard response.isWebPage() else { return }
            throw .permanent(
                InputError(
                    subject, "the Hub answered with a web page; is HF_ENDPOINT right? (\(client.settings.endpoint))"))
        }
        guard etag == file.digest else {
            throw .permanent(
                InputError(subject, "the Hub's answer is about \(etag), its listing about \(file.digest). Try again later"))
        }
    }

    private func verify() throws(HubError) {
        let found: (kind: String, value: String)?
        do throws(InputError) {
            let content = try file.size == 0 ? nil : MappedFile(path: incomplete)  // nothing cannot be mapped
            let bytes = content?.bytes ?? UnsafeRawBufferPointer(start: nil, count: 0)
            found = withExtendedLifetime(content) { file.digest(of: bytes) }
        } catch {
            throw .permanent(error)
        }
        if let found, found.value != file.digest {
            unlink(incomplete)
            throw .permanent(
                InputError(
                    subject,
                    "arrived damaged: its \(found.kind) is \(found.value), the Hub says \(file.digest). "
                        + "It was deleted; run again"))
        }
    }

    private func truncate(_ descriptor: Int32) throws(HubError) {
        guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else { throw writeError() }
    }

    /// What is there stays for the next run, but on a full disk, which needs the room.
    private func writeError() -> HubError {
        let code = errno
        if code == ENOSPC { unlink(incomplete) }
        return .permanent(InputError(subject, "cannot be written to \(incomplete): \(String(cString: strerror(code)))"))
    }
}
