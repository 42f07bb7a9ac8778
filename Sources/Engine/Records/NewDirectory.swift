import Foundation

/// Makes a directory of files that is there whole or not at all.
enum NewDirectory {
    /// Has `fill` write into a directory with a temporary name beside `path`, syncs, and renames it. Where it throws, nothing
    /// stays; a process that is killed may leave the temporary one.
    static func write(_ path: String, _ fill: (_ temporary: String) throws(InputError) -> Void) throws(InputError) {
        try requireFree(path)
        let target = URL(fileURLWithPath: path).standardizedFileURL.path
        let parent = (target as NSString).deletingLastPathComponent
        func fail(_ code: Int32) -> InputError { InputError(path, "cannot be written: \(String(cString: strerror(code)))") }
        // Folders made on the way go with what was to be in them.
        var made: [String] = []
        var ancestor = parent
        while !FileManager.default.fileExists(atPath: ancestor) {
            made.append(ancestor)
            ancestor = (ancestor as NSString).deletingLastPathComponent
        }
        func unmake() { for folder in made { rmdir(folder) } }
        do {
            try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        } catch {
            unmake()
            throw InputError(
                path, "cannot be written: the directory \(parent) cannot be made (\(error.localizedDescription))")
        }
        var template = Array("\(target).partial.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            let error = fail(errno)
            unmake()
            throw error
        }
        let temporary = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        do throws(InputError) {
            try fill(temporary)
            guard chmod(temporary, 0o755) == 0, sync(temporary) else { throw fail(errno) }
            // An empty directory gives way to the new one; anything else does not.
            guard rename(temporary, target) == 0 else { throw fail(errno) }
        } catch {
            try? FileManager.default.removeItem(atPath: temporary)
            unmake()
            throw InputError(
                error.subject.hasPrefix(temporary) ? path + error.subject.dropFirst(temporary.count) : error.subject,
                error.problem)
        }
        _ = sync(parent)  // where that fails, the directory is there all the same
    }

    /// Refuses a path where there is something already, before any work is done for it.
    static func requireFree(_ path: String) throws(InputError) {
        guard !path.isEmpty else { throw InputError("--output", "is empty; name a directory that does not exist yet") }
        guard FileManager.default.fileExists(atPath: path) else { return }
        if (try? FileManager.default.contentsOfDirectory(atPath: path))?.isEmpty == true { return }
        throw InputError(path, "exists already; name another directory, or remove it first")
    }

    private static func sync(_ directory: String) -> Bool {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return fsync(descriptor) == 0
    }
}
