import Foundation

/// What this process takes of the machine.
package enum ProcessMemory {
    /// The most bytes that were ever resident, mapped files among them; nil where the system does not tell.
    package static var peak: Int? {
        guard let bytes = FileManager.default.contents(atPath: "/proc/self/status") else { return nil }
        let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 << 10 }
    }
}
