import Kernels

extension UnsafeRawBufferPointer {
    /// In hexadecimal.
    package func sha256() -> String { Self.digest(bytes: 32) { apus_sha256(baseAddress, count, $0) } }

    /// What git calls a file with these bytes, in hexadecimal.
    package func gitSHA1() -> String {
        var header = "blob \(count)\0"
        return header.withUTF8 { header in
            Self.digest(bytes: 20) { apus_sha1(header.baseAddress, header.count, baseAddress, count, $0) }
        }
    }

    private static func digest(bytes count: Int, _ compute: (UnsafeMutablePointer<UInt8>) -> Void) -> String {
        let digest = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            compute(buffer.baseAddress!)
            initialized = count
        }
        return digest.map { byte in String(byte >> 4, radix: 16) + String(byte & 15, radix: 16) }.joined()
    }
}
