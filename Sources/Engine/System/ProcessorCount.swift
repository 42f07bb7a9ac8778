import Foundation

/// What this process may really use, not what the machine has.
public enum ProcessorCount {
    /// The affinity mask's processors, bounded by the control groups' CPU quota. At least 1.
    public static var available: Int { available(affinity: affinity, quota: CPUQuota()?.processors) }

    /// A quota is rounded down: a thread for half a processor would use the quota up before its period ends, and all threads
    /// would stand still until the next one.
    package static func available(affinity: Int, quota: Double?) -> Int {
        max(1, min(affinity, quota.map { Int(min($0, 1e6)) } ?? affinity))
    }

    /// How many processors the affinity mask has: those of `/proc/self/status`' "Cpus_allowed: f,ffffffff"; all that are active
    /// where there is no such file.
    package static var affinity: Int {
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("Cpus_allowed:") })
        else { return ProcessInfo.processInfo.activeProcessorCount }
        return line.dropFirst("Cpus_allowed:".count).reduce(0) { $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0) }
    }
}
