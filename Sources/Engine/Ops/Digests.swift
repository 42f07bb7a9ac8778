import Kernels

extension UnsafeRawBufferPointer {
    /// In hexadecimal.
    package func sha256() -> String { Self.digest(bytes: 32) { apus_sha256(baseAddress, count, $0) } }

    /// Its first 16 bytes.
    package func startOfSHA256() -> (UInt64, UInt64) {
        var digest: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &digest) {
            apus_sha256(baseAddress, count, $0.assumingMemoryBound(to: UInt8.self).baseAddress!)
        }
        return (digest.0.littleEndian, digest.1.littleEndian)
    }

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
