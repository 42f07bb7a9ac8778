import Foundation

/// A file's bytes, memory-mapped read-only.
///
/// The mapping lives as long as the object: whoever keeps `bytes` keeps the object too.
package final class MappedFile: @unchecked Sendable {
    package let name: String
    package let bytes: UnsafeRawBufferPointer
    private let isFile: Bool

    /// What stands in a clone where Git LFS fetched nothing.
    private static let pointerStart = Array("version https://git-lfs.github.com/spec/".utf8)

    package init(path: String) throws(InputError) {
        name = (path as NSString).lastPathComponent
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)  // no waiting for a FIFO's other end
        guard descriptor >= 0 else { throw InputError(path, "cannot be opened: \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw InputError(path, "is not a regular file")
        }
        guard status.st_size > 0 else { throw InputError(path, "is empty") }
        let size = Int(status.st_size)
        guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
            throw InputError(path, "cannot be memory-mapped: \(String(cString: strerror(errno)))")
        }
        bytes = UnsafeRawBufferPointer(start: base, count: size)
        isFile = true
        if bytes.starts(with: Self.pointerStart) {
            throw InputError(
                name,
                "is a Git LFS pointer, not the file itself. Fetch it: git lfs pull, in a clone of the model; or apus pull ID"
            )
        }
    }

    /// Memory that never was a file: `byteCount` bytes as `fill` leaves them.
    package init(
        named name: String, byteCount: Int, fill: (UnsafeMutableRawBufferPointer) -> Void
    ) throws(InputError) {
        self.name = name
        let base = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let base, base != MAP_FAILED else { throw InputError.outOfMemory(byteCount) }
        let memory = UnsafeMutableRawBufferPointer(start: base, count: byteCount)
        fill(memory)
        bytes = UnsafeRawBufferPointer(memory)
        isFile = false
    }

    /// Gives the memory of whole pages within `part` back; they are read from the file again when touched.
    func discard(_ part: UnsafeRawBufferPointer) {
        guard isFile, let start = part.baseAddress else { return }
        let page = Int(getpagesize())
        let first = UnsafeMutableRawPointer(mutating: start).alignedUp(toMultipleOf: page)
        let end = UnsafeMutableRawPointer(mutating: start + part.count).alignedDown(toMultipleOf: page)
        if end > first { madvise(first, end - first, Int32(MADV_DONTNEED)) }
    }

    /// A copy of its own.
    package func contents() -> [UInt8] { Array(bytes) }

    /// In hexadecimal.
    package func sha256() -> String { bytes.sha256() }

    deinit {
        munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress!), bytes.count)
    }
}

extension UnsafeRawBufferPointer {
    /// The little-endian integer at `offset`; the caller has checked that it lies inside.
    func littleEndian<Value: FixedWidthInteger>(_ type: Value.Type, at offset: Int) -> Value {
        precondition(offset >= 0 && offset <= count - MemoryLayout<Value>.size)
        return Value(littleEndian: loadUnaligned(fromByteOffset: offset, as: Value.self))
    }
}
