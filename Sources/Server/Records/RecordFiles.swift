import Engine
import Foundation

/// The files of a record directory: `records-N.jsonl`, begun N milliseconds after 1970. Several servers may share one.
package final class RecordFiles {
    private let directory: String
    private let fileBytes: Int
    private let timeToLive: Int
    private var current: (descriptor: Int32, began: Int, length: Int)?

    /// Makes the directory where it is missing.
    ///
    /// - Parameter timeToLive: in milliseconds. A file spans a tenth of it at most, and goes when its first line is so old.
    package init(directory: String, fileBytes: Int, timeToLive: Int) throws(InputError) {
        self.directory = directory
        self.fileBytes = fileBytes
        self.timeToLive = timeToLive
        do {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw InputError(directory, "cannot be made: \(error.localizedDescription)")
        }
        guard access(directory, W_OK | X_OK) == 0 else {
            throw InputError(directory, "cannot be written to: \(String(cString: strerror(errno)))")
        }
    }

    deinit { close() }

    /// Writes lines and syncs, into another file where one is full. Returns how many of them are written: fewer where the
    /// system refuses, which `errno` tells; then files end with whole lines as before.
    ///
    /// - Parameter time: now, in milliseconds since 1970.
    package func append(_ lines: [[UInt8]], at time: Int) -> Int {
        var written = 0
        while written < lines.count {
            guard let (descriptor, _, length) = file(at: time) else { return written }
            var bytes: [UInt8] = []
            let count = lines[written...].prefix { line in
                let total = length + bytes.count
                guard total == 0 || total + line.count <= fileBytes else { return false }
                bytes += line
                return true
            }.count
            guard FileReplacement.writeAll(bytes, to: descriptor), fsync(descriptor) == 0 else {
                let code = errno
                ftruncate(descriptor, off_t(length))
                errno = code
                return written
            }
            current?.length += bytes.count
            written += count
            if written < lines.count { close() }
        }
        return written
    }

    /// Closes the file that has spanned its time, and deletes those whose first line is as old as the time to live. False where
    /// one cannot be deleted, which `errno` tells.
    package func removeOld(at time: Int) -> Bool {
        if let current, time - current.began >= timeToLive / 10 { close() }
        var isRemoved = true
        for (path, began) in Self.files(directory) where time - began >= timeToLive {
            if unlink(path) != 0, errno != ENOENT { isRemoved = false }
        }
        return isRemoved
    }

    /// A directory's record files, in the order in which they were begun.
    static func files(_ directory: String) -> [(path: String, began: Int)] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.compactMap { name in
            guard let match = name.wholeMatch(of: /records-(\d{1,18})\.jsonl/), let began = Int(match.1) else { return nil }
            return ("\(directory)/\(name)", began)
        }.sorted { ($0.began, $0.path) < ($1.began, $1.path) }
    }

    /// The file that is written to; nil where a new one cannot be made.
    private func file(at time: Int) -> (descriptor: Int32, began: Int, length: Int)? {
        var status = stat()
        // Somebody may have deleted it: what is written would be gone as well.
        if let current, fstat(current.descriptor, &status) != 0 || status.st_nlink == 0 { close() }
        var began = time
        while current == nil {
            let flags = O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW
            let descriptor = open("\(directory)/records-\(began).jsonl", flags, 0o600)
            if descriptor >= 0 {
                current = (descriptor, began, 0)
            } else if errno == EEXIST {
                began += 1
            } else {
                return nil
            }
        }
        return current
    }

    private func close() {
        if let current { Foundation.close(current.descriptor) }
        current = nil
    }
}
