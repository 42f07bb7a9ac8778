/// What a request is called in its answer and in the log.
enum RequestIdentifier {
    /// A random UUID (RFC 9562, version 4). Foundation's takes 2 µs to write itself.
    static func make() -> String {
        var random = SystemRandomNumberGenerator()
        let high = random.next() & ~0xF000 | 0x4000
        let low = random.next() & ~(0b11 << 62) | 0b10 << 62
        return String(unsafeUninitializedCapacity: 36) { text in
            var next = 0
            for (half, value) in [high, low].enumerated() {
                for digit in 0..<16 {
                    if [8, 12, 16, 20].contains(16 * half + digit) {
                        text[next] = UInt8(ascii: "-")
                        next += 1
                    }
                    let nibble = UInt8(truncatingIfNeeded: value >> (60 - 4 * digit)) & 15
                    text[next] = nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10
                    next += 1
                }
            }
            return next
        }
    }

    /// The client's own, where it is printable and short.
    static func accepted(_ identifier: String?) -> String? {
        guard let identifier, 1...128 ~= identifier.utf8.count, identifier.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            return nil
        }
        return identifier
    }
}
