import Foundation

/// What this process may really use, not what the machine has.
public enum ProcessorCount {
    /// The affinity mask's processors, bounded by the cgroup's CPU quota (rounded up). At least 1.
    public static var available: Int {
        let mask = affinity ?? ProcessInfo.processInfo.activeProcessorCount
        return max(1, min(mask, quota() ?? mask))
    }

    /// The processors of `/proc/self/status`' "Cpus_allowed: f,ffffffff"; nil where there is no such file.
    private static var affinity: Int? {
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("Cpus_allowed:") })
        else { return nil }
        return line.dropFirst("Cpus_allowed:".count).reduce(0) { $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0) }
    }

    /// The quota of control groups version 2 (`cpu.max`: "quota period") or 1, in processors; nil where there is none.
    package static func quota(root: String = "/sys/fs/cgroup", membership: String = "/proc/self/cgroup") -> Int? {
        func text(_ path: String) -> String? {
            (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        // "0::/a/b" in version 2: a limit may stand at every level from there up. In a container it is often the root.
        let path = text(membership)?.split(separator: "\n").first { $0.hasPrefix("0::") }?.dropFirst(3) ?? "/"
        var folders = path.split(separator: "/").map(String.init)
        var quotas: [Int] = []
        func add(_ quota: String?, _ period: String?) {
            guard let quota = quota.flatMap(Double.init), let period = period.flatMap(Double.init), quota > 0, period > 0
            else { return }
            quotas.append(Int((quota / period).rounded(.up)))
        }
        while true {
            let folder = ([root] + folders).joined(separator: "/")
            let parts = text(folder + "/cpu.max")?.split(separator: " ").map(String.init) ?? []
            if parts.count == 2 { add(parts[0], parts[1]) }
            if folders.popLast() == nil { break }
        }
        add(text(root + "/cpu/cpu.cfs_quota_us"), text(root + "/cpu/cpu.cfs_period_us"))
        return quotas.min()
    }
}
