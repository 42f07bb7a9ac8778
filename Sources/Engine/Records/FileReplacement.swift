import Foundation

/// Writes files whole or not at all.
public enum FileReplacement {
    /// Writes to a temporary name beside `path`, syncs, and renames.
    public static func write(_ bytes: [UInt8], to path: String) throws(InputError) {
        let temporary = "\(path).\(getpid()).partial"
        func fail() -> InputError {
            let reason = String(cString: strerror(errno))
            unlink(temporary)
            return InputError(path, "cannot be written: \(reason)")
        }
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw fail() }
        guard writeAll(bytes, to: descriptor) else {
            let error = fail()
            close(descriptor)
            throw error
        }
        let isSynced = fsync(descriptor) == 0
        guard close(descriptor) == 0, isSynced, rename(temporary, path) == 0 else { throw fail() }
    }

    /// Writes all of `bytes`; false, with `errno` set, where that fails.
    package static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                Foundation.write(descriptor, $0.baseAddress! + written, $0.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return false }
            written += count
        }
        return true
    }
}
