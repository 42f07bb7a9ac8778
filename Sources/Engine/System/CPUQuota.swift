/// The CPU time that control groups leave this process: the tightest quota of its own group and of all above it that it sees.
package struct CPUQuota: Sendable {
    /// CPU time over time: 2.5 is two processors and a half.
    package let processors: Double
    /// The group with this quota.
    private let folder: String

    /// nil where no group has a quota.
    ///
    /// - Parameter root: before the paths of `/proc` and of what is mounted.
    package init?(root: String = "") {
        let folders = ControlGroups("cpu", root: root).folders
        let quotas = folders.compactMap { folder in Self.quota(of: folder).map { ($0, folder) } }
        guard let tightest = quotas.min(by: { $0.0 < $1.0 }) else { return nil }
        (processors, folder) = tightest
    }

    /// How many periods ended early for the group, as its quota was used up; nil where the kernel does not count.
    package var throttledPeriods: Int? { ControlGroups.number("nr_throttled", in: folder + "/cpu.stat") }

    /// `cpu.max` of version 2 is "150000 100000", quota and period in µs, or "max 100000"; version 1 has a file for each, and
    /// -1 for no quota.
    private static func quota(of folder: String) -> Double? {
        let fields = ControlGroups.lines(folder + "/cpu.max").first?.split(separator: " ") ?? []
        let quota = fields.first ?? ControlGroups.lines(folder + "/cpu.cfs_quota_us").first
        let period = fields.dropFirst().first ?? ControlGroups.lines(folder + "/cpu.cfs_period_us").first
        guard let quota = quota.flatMap({ Double($0) }), let period = period.flatMap({ Double($0) }), quota > 0, period > 0
        else { return nil }
        return quota / period
    }
}
