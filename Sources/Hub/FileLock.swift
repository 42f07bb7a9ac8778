import Engine
import Foundation

/// A lock between processes, the same as that of Python's `filelock`: flock(2) on a file that stays.
struct FileLock: ~Copyable {
    private let descriptor: Int32

    /// Waits until it is free; `waiting` is called once where it is not at once.
    init(_ path: String, waiting: () -> Void) throws(HubError) {
        var hasWaited = false
        while true {
            let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o664)
            guard descriptor >= 0 else {
                throw .permanent(.init(path, "cannot be opened: \(String(cString: strerror(errno)))"))
            }
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
                var status = stat()
                if fstat(descriptor, &status) == 0, status.st_nlink > 0 {
                    self.descriptor = descriptor
                    return
                }
                close(descriptor)  // somebody removed the file meanwhile: the lock is another one's now
                continue
            }
            let code = errno
            close(descriptor)
            guard code == EWOULDBLOCK || code == EINTR else {
                throw .permanent(.init(path, "cannot be locked: \(String(cString: strerror(code)))"))
            }
            if !hasWaited { waiting() }
            hasWaited = true
            usleep(50_000)
        }
    }

    deinit { close(descriptor) }
}
