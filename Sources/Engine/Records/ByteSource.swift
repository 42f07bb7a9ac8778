import Foundation

/// A file or standard input (`-`), read in blocks.
package struct ByteSource: ~Copyable {
    /// The file's name, or `standard input`.
    let name: String
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var position = 0
    private var isAtEnd = false
    /// How much was read of a regular file's `size`.
    package private(set) var bytesRead = 0
    let size: Int?

    package init(path: String) throws(InputError) {
        if path == "-" {
            name = "standard input"
            descriptor = STDIN_FILENO
            size = Self.size(of: descriptor)
            return
        }
        name = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw InputError(path, "cannot be opened: \(String(cString: strerror(errno)))") }
        size = Self.size(of: descriptor)
    }

    /// nil for what is no regular file.
    private static func size(of descriptor: Int32) -> Int? {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : nil
    }

    deinit {
        if descriptor != STDIN_FILENO { close(descriptor) }
    }

    /// Whether a whole line can be had without waiting for more input.
    var hasBufferedLine: Bool { buffer[position...].contains(0x0A) }

    mutating func nextByte() throws(InputError) -> UInt8? {
        if position == buffer.count { try fill() }
        guard position < buffer.count else { return nil }
        defer { position += 1 }
        return buffer[position]
    }

    mutating func peekByte() throws(InputError) -> UInt8? {
        if position == buffer.count { try fill() }
        return position < buffer.count ? buffer[position] : nil
    }

    /// Up to the next \n, which is left out, as is an \r before it; nil at the end.
    mutating func nextLine(limit: Int, line: Int) throws(InputError) -> [UInt8]? {
        let name = name
        return try nextLine(limit: limit) { () throws(InputError) in
            throw InputError(name, "line \(line) is longer than \(limit) bytes")
        }
    }

    /// The same, cut off somewhere behind `limit` where the line is longer.
    package mutating func nextLine(
        limit: Int, ifLonger: () throws(InputError) -> Void = {}
    ) throws(InputError) -> [UInt8]? {
        var content: [UInt8] = []
        while true {
            if position == buffer.count { try fill() }
            if position == buffer.count { return content.isEmpty ? nil : content }
            let end = buffer[position...].firstIndex(of: 0x0A)
            if content.count <= limit { content += buffer[position..<(end ?? buffer.count)] }
            if content.count > limit { try ifLonger() }
            position = end.map { $0 + 1 } ?? buffer.count
            if end != nil {
                if content.last == 0x0D { content.removeLast() }
                return content
            }
        }
    }

    /// All that was not read yet.
    mutating func rest(limit: Int) throws(InputError) -> [UInt8] {
        var content: [UInt8] = []
        while true {
            if position == buffer.count { try fill() }
            if position == buffer.count { return content }
            content += buffer[position...]
            guard content.count <= limit else {
                throw InputError(name, "is longer than \(limit) bytes; write it as JSON lines")
            }
            position = buffer.count
        }
    }

    private mutating func fill() throws(InputError) {
        guard !isAtEnd else { return }
        position = 0
        let descriptor = descriptor
        var count = 0
        buffer = [UInt8](unsafeUninitializedCapacity: 1 << 16) { block, initialized in
            repeat { count = read(descriptor, block.baseAddress, block.count) } while count < 0 && errno == EINTR
            initialized = max(count, 0)
        }
        if bytesRead == 0, buffer.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }  // a byte order mark
        bytesRead += max(count, 0)
        guard count >= 0 else { throw InputError(name, "cannot be read: \(String(cString: strerror(errno)))") }
        isAtEnd = count == 0
    }
}
