import Engine
import Foundation

/// The file that answers and feedback outlive a restart in: records behind each other, each with its length and its CRC-32.
///
/// What a crash tore, and all behind it, is cut off at the next start. Where a disk is full, the file stays whole.
package final class FeedbackLog {
    package enum Record: Equatable {
        /// What the records behind it call model `number`.
        case model(number: UInt16, name: String, digest: String, labels: [String])
        case answer(AnswerRing.Key, model: UInt16, at: UInt32, labels: [AnswerRing.Label])
        /// Label `actual` of the answer's model was right for text `index`.
        case feedback(AnswerRing.Key, index: UInt32, actual: UInt16, at: UInt32)
    }

    private static let header = Array("apus feedback 1\n".utf8)

    let path: String
    private var descriptor: Int32
    /// Bytes of whole records, and of the header.
    package private(set) var length: Int
    /// The last write failed: what it should have brought is missing.
    private(set) var isFailing = false
    /// How many bytes at the end were no whole records, and were cut off.
    package let torn: Int

    /// Opens the log in `directory`, which is made where it is missing. No other process may have it open.
    ///
    /// - Parameter read: gets the records that it holds, in order.
    package init(directory: String, read: (Record) -> Void) throws(InputError) {
        path = directory + "/feedback.log"
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        } catch {
            throw InputError(directory, "cannot be made: \(error.localizedDescription)")
        }
        descriptor = try Self.open(path)
        do throws(InputError) {
            (length, torn) = try Self.read(path, descriptor, read)
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// Reads the whole records and cuts off what is none. Returns their length, with the header, and that of the rest.
    private static func read(
        _ path: String, _ descriptor: Int32, _ read: (Record) -> Void
    ) throws(InputError) -> (length: Int, torn: Int) {
        guard let bytes = FileManager.default.contents(atPath: path).map(Array.init) else {
            throw InputError(path, "cannot be read: \(String(cString: strerror(errno)))")
        }
        var length = 0
        if bytes.starts(with: header) {
            length = header.count
            while let (record, size) = Record.read(bytes[length...]) {
                read(record)
                length += size
            }
        } else if !header.starts(with: bytes) {  // it was not torn while it was made
            throw InputError(path, "is not a feedback log of this version; move it away, or give another --state")
        }
        let torn = bytes.count - length
        length = max(length, header.count)
        guard ftruncate(descriptor, off_t(length)) == 0, pwrite(descriptor, header, header.count, 0) == header.count else {
            throw InputError(path, "cannot be written: \(String(cString: strerror(errno)))")
        }
        return (length, torn)
    }

    deinit { close(descriptor) }

    /// Adds records and syncs. False where that fails, with `errno` set: then the file is as before.
    package func append(_ records: [UInt8]) -> Bool {
        isFailing = true
        guard lseek(descriptor, off_t(length), SEEK_SET) >= 0, FileReplacement.writeAll(records, to: descriptor),
            fsync(descriptor) == 0
        else {
            let code = errno
            ftruncate(descriptor, off_t(length))
            errno = code
            return false
        }
        length += records.count
        isFailing = false
        return true
    }

    /// Puts records in place of all that there are, at once. False where that fails: then the file is as before.
    package func replace(with records: [UInt8]) -> Bool {
        isFailing = true
        let temporary = path + ".partial"
        unlink(temporary)
        guard let new = try? Self.open(temporary) else { return false }
        guard FileReplacement.writeAll(Self.header + records, to: new), fsync(new) == 0, rename(temporary, path) == 0 else {
            let code = errno
            close(new)
            unlink(temporary)
            errno = code
            return false
        }
        close(descriptor)
        descriptor = new
        length = Self.header.count + records.count
        isFailing = false
        return true
    }

    private static func open(_ path: String) throws(InputError) -> Int32 {
        let descriptor = Foundation.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw InputError(path, "cannot be opened: \(String(cString: strerror(errno)))") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw InputError(path, "is in use by another server; give each its own --state")
        }
        return descriptor
    }
}

/// Integers are little-endian. A record: the length of its payload and the payload's CRC-32, four bytes each; the payload.
extension FeedbackLog.Record {
    /// No payload is longer: a million texts in one request have 6 MB.
    private static let largestPayload = 64 << 20

    package var bytes: [UInt8] {
        var payload: [UInt8]
        switch self {
        case .model(let number, let name, let digest, let labels):
            payload = [1] + number.littleEndianBytes
            payload += JSONValue.array([.string(name), .string(digest)] + labels.map(JSONValue.string)).serialized()
        case .answer(let key, let model, let time, let labels):
            payload = [2] + Self.bytes(key) + model.littleEndianBytes + time.littleEndianBytes
            for label in labels {
                payload += label.predicted.littleEndianBytes + label.confidence.bitPattern.littleEndianBytes
            }
        case .feedback(let key, let index, let actual, let time):
            payload = [3] + Self.bytes(key) + index.littleEndianBytes + actual.littleEndianBytes + time.littleEndianBytes
        }
        return UInt32(payload.count).littleEndianBytes + Self.checksum(payload[...]).littleEndianBytes + payload
    }

    /// The record that bytes begin with, and how many it takes; nil where there is no whole one.
    static func read(_ bytes: ArraySlice<UInt8>) -> (record: Self, size: Int)? {
        var head = bytes.prefix(8)
        guard head.count == 8 else { return nil }
        let (length, sum) = (take(&head, UInt32.self), take(&head, UInt32.self))
        var payload = bytes.dropFirst(8).prefix(Int(length))
        guard length <= largestPayload, payload.count == length, checksum(payload) == sum, let kind = payload.popFirst()
        else {
            return nil
        }
        switch kind {
        case 1 where payload.count >= 2:
            let number = take(&payload, UInt16.self)
            guard let texts = (try? JSONValue(parsing: Array(payload)))?.array?.compactMap(\.string), texts.count > 1 else {
                return nil
            }
            let labels = Array(texts.dropFirst(2))
            return (.model(number: number, name: texts[0], digest: texts[1], labels: labels), 8 + Int(length))
        case 2 where payload.count >= 22 && (payload.count - 22).isMultiple(of: 6):
            let (key, model, time) = (takeKey(&payload), take(&payload, UInt16.self), take(&payload, UInt32.self))
            var labels: [AnswerRing.Label] = []
            while !payload.isEmpty {
                let predicted = take(&payload, UInt16.self)
                labels.append(.init(predicted: predicted, confidence: Float(bitPattern: take(&payload, UInt32.self))))
            }
            return (.answer(key, model: model, at: time, labels: labels), 8 + Int(length))
        case 3 where payload.count == 26:
            let (key, index) = (takeKey(&payload), take(&payload, UInt32.self))
            let (actual, time) = (take(&payload, UInt16.self), take(&payload, UInt32.self))
            return (.feedback(key, index: index, actual: actual, at: time), 8 + Int(length))
        default: return nil
        }
    }

    private static func bytes(_ key: AnswerRing.Key) -> [UInt8] { key.high.littleEndianBytes + key.low.littleEndianBytes }

    private static func take<Value: FixedWidthInteger>(_ bytes: inout ArraySlice<UInt8>, _: Value.Type) -> Value {
        let size = MemoryLayout<Value>.size
        defer { bytes = bytes.dropFirst(size) }
        return Value(littleEndianBytes: bytes.prefix(size))
    }

    private static func takeKey(_ bytes: inout ArraySlice<UInt8>) -> AnswerRing.Key {
        let high = take(&bytes, UInt64.self)
        return AnswerRing.Key(high: high, low: take(&bytes, UInt64.self))
    }

    /// CRC-32 as zlib has it (ISO 3309).
    static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        ~bytes.reduce(~0 as UInt32) { $0 >> 8 ^ table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] }
    }

    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 0 ? value >> 1 : value >> 1 ^ 0xEDB8_8320 }
    }
}
