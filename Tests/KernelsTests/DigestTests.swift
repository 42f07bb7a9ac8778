import Foundation
import Kernels
import Testing

/// SHA-256 and SHA-1.
@Suite struct DigestTests {
    private typealias SHA256 = @Sendable (UnsafeRawPointer?, Int, UnsafeMutablePointer<UInt8>?) -> Void

    private static let both: [(name: String, function: SHA256)] = [
        ("this CPU's", apus_sha256), ("scalar", apus_sha256_scalar),
    ]

    private func hexadecimal(_ count: Int, _ compute: (UnsafeMutablePointer<UInt8>) -> Void) -> String {
        var digest = [UInt8](repeating: 0, count: count)
        compute(&digest)
        return digest.map { byte in String(byte >> 4, radix: 16) + String(byte & 15, radix: 16) }.joined()
    }

    /// FIPS 180-4's examples, and how many bytes of them.
    private static let examples: [(text: String, times: Int, sha256: String, sha1: String)] = [
        (
            "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709"
        ),
        (
            "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        ),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        ),
        (
            "a", 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
            "34aa973cd4c4daa4f61eeb2bdbad27316534016f"
        ),
    ]

    @Test func `the standard's examples have the standard's digests`() {
        for example in Self.examples {
            let bytes = Array(String(repeating: example.text, count: example.times).utf8)
            for (name, sha256) in Self.both {
                let digest = hexadecimal(32) { sha256(bytes, bytes.count, $0) }
                #expect(digest == example.sha256, "\(name), \(bytes.count) bytes")
            }
            #expect(hexadecimal(20) { apus_sha1(nil, 0, bytes, bytes.count, $0) } == example.sha1)
        }
    }

    @Test func `this CPU's instructions give what the scalar code gives, for every count`() {
        let bytes = (0..<400).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) }
        for count in 0...bytes.count {
            let digests = Self.both.map { both in hexadecimal(32) { both.function(bytes, count, $0) } }
            #expect(digests[0] == digests[1], "\(count) bytes")
        }
    }

    @Test func `an empty file is its header`() {
        let header = Array("blob 0\0".utf8)
        let name = hexadecimal(20) { apus_sha1(header, header.count, nil, 0, $0) }
        #expect(name == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")  // git hash-object /dev/null
    }

    @Test func `a prefix counts as if it stood before the bytes`() {
        let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 5 &+ 3) }
        for count in [0, 1, 55, 56, 63, 64, 65, 128, 237] {
            let whole = hexadecimal(20) { apus_sha1(nil, 0, bytes, count, $0) }
            for prefix in 0...min(count, 63) {
                let parts = hexadecimal(20) { result in
                    bytes.withUnsafeBufferPointer {
                        apus_sha1($0.baseAddress, prefix, $0.baseAddress! + prefix, count - prefix, result)
                    }
                }
                #expect(parts == whole, "\(prefix) of \(count) bytes")
            }
        }
    }
}
