import Foundation

/// The CPU time that control groups leave this process: the tightest quota of its own group and of all above it that it sees.
package struct CPUQuota: Sendable {
    /// CPU time over time: 2.5 is two processors and a half.
    package let processors: Double
    /// The group with this quota.
    private let folder: String

    /// nil where no group has a quota. Groups of version 2 and of version 1 are looked at, as mounted.
    ///
    /// - Parameter root: before the paths of `/proc` and of what is mounted.
    package init?(root: String = "") {
        let quotas = Self.groups(root).compactMap { folder in Self.quota(of: folder).map { ($0, folder) } }
        guard let tightest = quotas.min(by: { $0.0 < $1.0 }) else { return nil }
        (processors, folder) = tightest
    }

    /// How many periods ended early for the group, as its quota was used up; nil where the kernel does not count.
    package var throttledPeriods: Int? {
        let line = Self.lines(folder + "/cpu.stat").first { $0.hasPrefix("nr_throttled ") }
        return line.flatMap { Int($0.dropFirst("nr_throttled ".count)) }
    }

    /// `cpu.max` of version 2 is "150000 100000", quota and period in µs, or "max 100000"; version 1 has a file for each, and
    /// -1 for no quota.
    private static func quota(of folder: String) -> Double? {
        let fields = lines(folder + "/cpu.max").first?.split(separator: " ") ?? []
        let quota = fields.first ?? lines(folder + "/cpu.cfs_quota_us").first
        let period = fields.dropFirst().first ?? lines(folder + "/cpu.cfs_period_us").first
        guard let quota = quota.flatMap({ Double($0) }), let period = period.flatMap({ Double($0) }), quota > 0, period > 0
        else { return nil }
        return quota / period
    }

    /// The folders of the process' own groups and of all above them, up to where they are mounted.
    private static func groups(_ root: String) -> [String] {
        // "0::/a/b" is version 2, "4:cpu,cpuacct:/a/b" one of version 1's hierarchies.
        let memberships = lines(root + "/proc/self/cgroup")
            .map { $0.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false) }.filter { $0.count == 3 }
        return lines(root + "/proc/self/mountinfo").flatMap { line -> [String] in
            // proc(5): "36 35 0:30 ROOT MOUNTPOINT OPTIONS FIELDS… - TYPE SOURCE SUPEROPTIONS"
            let fields = line.split(separator: " ")
            guard let dash = fields.firstIndex(of: "-"), dash > 5, fields.count > dash + 3 else { return [] }
            let isVersion1 = fields[dash + 1] == "cgroup" && hasCPU(fields[dash + 3])
            guard isVersion1 || fields[dash + 1] == "cgroup2",
                let group = memberships.first(where: { isVersion1 ? hasCPU($0[1]) : $0[1].isEmpty })
            else { return [] }
            return folders(from: components(group[2]), mountedAs: components(fields[3]), at: root + fields[4])
        }
    }

    private static func hasCPU(_ controllers: Substring) -> Bool { controllers.split(separator: ",").contains("cpu") }

    private static func folders(from path: [Substring], mountedAs top: [Substring], at mountPoint: String) -> [String] {
        func folder(_ path: some Collection<Substring>) -> String { ([Substring(mountPoint)] + path).joined(separator: "/") }
        var path = path.starts(with: top) ? path.dropFirst(top.count) : path[...]
        // A container may be told its path on the host, and see only the part of the tree from its own group down.
        while !path.isEmpty, !FileManager.default.fileExists(atPath: folder(path)) { path.removeFirst() }
        return (0...path.count).map { folder(path.dropLast($0)) }
    }

    /// Of a path; ".." is what a group outside the process' namespace is shown behind.
    private static func components(_ path: Substring) -> [Substring] { path.split(separator: "/").filter { $0 != ".." } }

    private static func lines(_ path: String) -> [Substring] {
        ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "").split(separator: "\n")
    }
}
