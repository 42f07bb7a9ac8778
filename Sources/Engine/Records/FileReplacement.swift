import Foundation

/// Writes files whole or not at all.
public enum FileReplacement {
    /// Writes to a temporary name beside `path`, syncs, and renames. What a symbolic link points to is replaced, not the
    /// link; what is no regular file (`/dev/stdout`) is written to as it is.
    public static func write(_ bytes: [UInt8], to given: String) throws(InputError) { try write([bytes], to: given) }

    /// The same for bytes in several parts.
    static func write(_ parts: [[UInt8]], to given: String) throws(InputError) {
        try write(to: given) { (append) throws(InputError) in
            for part in parts { try append(part) }
        }
    }

    /// The same for what comes piece by piece: `body` is given what appends one. Where it throws, the file is as before.
    package static func write(
        to given: String, mode: mode_t = 0o644,
        _ body: (_ append: ([UInt8]) throws(InputError) -> Void) throws(InputError) -> Void
    ) throws(InputError) {
        func failure() -> InputError { InputError(given, "cannot be written: \(String(cString: strerror(errno)))") }
        func fill(_ descriptor: Int32) throws(InputError) {
            try body { (bytes) throws(InputError) in
                guard writeAll(bytes, to: descriptor) else { throw failure() }
            }
        }
        if let stream = stream(given) { return try fill(stream) }
        let path = URL(fileURLWithPath: given).resolvingSymlinksInPath().path
        // A blob's name is the hash of what it holds; whoever reads it next believes that.
        guard path.firstMatch(of: /\/models--[^\/]+\/blobs\/[0-9a-f]+$/) == nil else {
            throw InputError(
                given,
                "is a link into the Hub's cache, whose files are what the Hub has. Copy the model (cp -rL) and use the copy")
        }
        var status = stat()
        if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
            let descriptor = open(path, O_WRONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw failure() }
            defer { close(descriptor) }
            return try fill(descriptor)
        }
        let temporary = "\(path).\(getpid()).partial"
        // Never through a link that somebody left under this name; what an earlier process of that number left goes.
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw failure() }
        var isWhole = false
        defer { if !isWhole { unlink(temporary) } }
        do throws(InputError) { try fill(descriptor) } catch {
            close(descriptor)
            throw error
        }
        let isSynced = fsync(descriptor) == 0
        guard close(descriptor) == 0, isSynced, rename(temporary, path) == 0 else { throw failure() }
        isWhole = true
    }

    /// Writes behind what a file holds already, an empty line between.
    public static func append(_ bytes: [UInt8], to path: String) throws(InputError) {
        if stream(path) != nil { return try write(bytes, to: path) }
        func fail() -> InputError { InputError(path, "cannot be written: \(String(cString: strerror(errno)))") }
        let isNew = !FileManager.default.fileExists(atPath: path)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw fail() }
        defer { close(descriptor) }
        var status = stat()
        let isFile = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        guard writeAll((isFile && status.st_size > 0 ? [0x0A] : []) + bytes, to: descriptor) else {
            let error = fail()
            // Half a page is worse than none.
            if isNew { unlink(path) } else if isFile { ftruncate(descriptor, status.st_size) }
            throw error
        }
    }

    /// The open descriptor that a path stands for: a file that a shell has opened as one is written on, not replaced.
    private static func stream(_ path: String) -> Int32? {
        switch path {
        case "/dev/stdout": STDOUT_FILENO
        case "/dev/stderr": STDERR_FILENO
        default:
            ["/dev/fd/", "/proc/self/fd/"].first(where: path.hasPrefix).flatMap { Int32(path.dropFirst($0.count)) }
        }
    }

    /// Writes all of `bytes`; false, with `errno` set, where that fails.
    package static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        write(bytes, to: descriptor) == bytes.count
    }

    /// How many of `bytes` were written: all, unless the system refuses, which `errno` tells. Waits for a descriptor that
    /// does not block.
    package static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                Foundation.write(descriptor, $0.baseAddress! + written, $0.count - written)
            }
            if count >= 0 {
                written += count
            } else if errno == EAGAIN {
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&ready, 1, -1)
            } else if errno != EINTR {
                return written
            }
        }
        return written
    }
}
