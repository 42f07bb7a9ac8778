import Foundation

/// What the CPU calls itself.
public enum ProcessorName {
    /// "model name" of /proc/cpuinfo; on ARM, which has none there, the designer's and the core's numbers; "unknown CPU" where
    /// the system does not tell.
    public static let current: String = {
        #if canImport(Darwin)
            var name = [CChar](repeating: 0, count: 256)
            var size = name.count
            guard sysctlbyname("machdep.cpu.brand_string", &name, &size, nil, 0) == 0 else { return "unknown CPU" }
            return String(cString: name)
        #else
            return name(from: (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? "")
        #endif
    }()

    static func name(from cpuinfo: String) -> String {
        func value(_ key: String) -> String? {
            let line = cpuinfo.split(separator: "\n").first { $0.hasPrefix(key) }
            return line?.split(separator: ":").dropFirst().first.map { $0.trimmingCharacters(in: .whitespaces) }
        }
        if let name = value("model name") { return name }
        guard let designer = value("CPU implementer"), let part = value("CPU part") else { return "unknown CPU" }
        return "ARM CPU, implementer \(designer), part \(part)"
    }
}
