import Foundation

/// Makes a directory of files that is there whole or not at all.
enum NewDirectory {
    /// Has `fill` write into a directory with a temporary name beside `path`, and renames it. Whatever fails, nothing stays.
    static func write(_ path: String, _ fill: (_ temporary: String) throws(InputError) -> Void) throws(InputError) {
        try requireFree(path)
        let target = URL(fileURLWithPath: path).standardizedFileURL.path
        let temporary = "\(target).\(getpid()).partial"
        let parent = (target as NSString).deletingLastPathComponent
        func fail(_ code: Int32) -> InputError { InputError(path, "cannot be written: \(String(cString: strerror(code)))") }
        do {
            try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        } catch {
            throw InputError(path, "cannot be written: the directory \(parent) cannot be made (\(error.localizedDescription))")
        }
        guard mkdir(temporary, 0o755) == 0 else { throw fail(errno) }
        do throws(InputError) {
            try fill(temporary)
            // An empty directory gives way to the new one; anything else does not.
            guard rename(temporary, target) == 0 else { throw fail(errno) }
            try sync(parent, fail)
        } catch {
            try? FileManager.default.removeItem(atPath: temporary)
            throw InputError(
                error.subject.hasPrefix(temporary) ? path + error.subject.dropFirst(temporary.count) : error.subject,
                error.problem)
        }
    }

    /// Refuses a path where there is something already, before any work is done for it.
    static func requireFree(_ path: String) throws(InputError) {
        guard !path.isEmpty else { throw InputError("--output", "is empty; name a directory that does not exist yet") }
        guard FileManager.default.fileExists(atPath: path) else { return }
        if (try? FileManager.default.contentsOfDirectory(atPath: path))?.isEmpty == true { return }
        throw InputError(path, "exists already; name another directory, or remove it first")
    }

    private static func sync(_ directory: String, _ fail: (Int32) -> InputError) throws(InputError) {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw fail(errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw fail(errno) }
    }
}
