import Foundation

/// Writes files whole or not at all.
public enum FileReplacement {
    /// Writes to a temporary name beside `path`, syncs, and renames. What a symbolic link points to is replaced, not the
    /// link; what is no regular file (`/dev/stdout`) is written to as it is.
    public static func write(_ bytes: [UInt8], to given: String) throws(InputError) { try write([bytes], to: given) }

    /// The same for bytes in several parts.
    static func write(_ parts: [[UInt8]], to given: String) throws(InputError) {
        let path = URL(fileURLWithPath: given).resolvingSymlinksInPath().path
        var status = stat()
        if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
            let descriptor = open(path, O_WRONLY | O_CLOEXEC)
            defer { if descriptor >= 0 { close(descriptor) } }
            guard descriptor >= 0, parts.allSatisfy({ writeAll($0, to: descriptor) }) else {
                throw InputError(given, "cannot be written: \(String(cString: strerror(errno)))")
            }
            return
        }
        let temporary = "\(path).\(getpid()).partial"
        func fail() -> InputError {
            let reason = String(cString: strerror(errno))
            unlink(temporary)
            return InputError(given, "cannot be written: \(reason)")
        }
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw fail() }
        guard parts.allSatisfy({ writeAll($0, to: descriptor) }) else {
            let error = fail()
            close(descriptor)
            throw error
        }
        let isSynced = fsync(descriptor) == 0
        guard close(descriptor) == 0, isSynced, rename(temporary, path) == 0 else { throw fail() }
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
