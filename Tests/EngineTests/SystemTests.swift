import Engine
import Foundation
import Testing

@Suite struct SystemTests {
    @Test(arguments: [(nil, 4), (8, 4), (4, 4), (2.5, 2), (1.9, 1), (0.3, 1), (1e300, 4)])
    func `threads default to the quota rounded down, within the affinity mask, and to one at least`(
        quota: Double?, threads: Int
    ) {
        #expect(ProcessorCount.available(affinity: 4, quota: quota) == threads)
        #expect(ProcessorCount.available >= 1)
    }

    /// As Linux writes them, with what else stands in them.
    private static let version2 = "0::/system.slice/a/b\n"
    private static let version2Mount =
        "24 22 0:21 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
        + "30 24 0:26 ROOT /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
    private static let version1 = "11:memory:/docker/c0\n4:cpu,cpuacct:/docker/c0/job\n1:name=systemd:/docker/c0\n0::/\n"
    private static let version1Mount =
        "35 24 0:30 / /sys/fs/cgroup/cpuset rw master:15 - cgroup cgroup rw,cpuset\n"
        + "36 24 0:31 ROOT /sys/fs/cgroup/cpu,cpuacct ro,nosuid master:16 - cgroup cgroup rw,cpu,cpuacct\n"

    private func tree(_ membership: String, _ mounts: String, mountedAs root: String = "/", _ files: [String: String]) throws
        -> TemporaryDirectory
    {
        let tree = try TemporaryDirectory()
        let proc = [
            "proc/self/cgroup": membership, "proc/self/mountinfo": mounts.replacingOccurrences(of: "ROOT", with: root),
        ]
        for (path, text) in files.merging(proc, uniquingKeysWith: { first, _ in first }) {
            let folder = "\(tree.path)/\(path)".split(separator: "/").dropLast().joined(separator: "/")
            try FileManager.default.createDirectory(atPath: "/" + folder, withIntermediateDirectories: true)
            try tree.write(text, to: path)
        }
        return tree
    }

    /// A tree is there as long as somebody holds it.
    private func quota(in tree: TemporaryDirectory) -> (processors: Double, throttled: Int?)? {
        withExtendedLifetime(tree) { CPUQuota(root: tree.path).map { ($0.processors, $0.throttledPeriods) } }
    }

    @Test func `the tightest quota from the process' group up to the root counts`() throws {
        let groups = "sys/fs/cgroup/system.slice"
        let tree = try tree(
            Self.version2, Self.version2Mount,
            [
                "\(groups)/cpu.max": "250000 100000\n", "\(groups)/a/cpu.max": "max 100000\n",
                "\(groups)/a/b/cpu.max": "40000 10000\n", "\(groups)/other/cpu.max": "1000 100000\n",
                "\(groups)/cpu.stat": "usage_usec 5\nnr_periods 9\nnr_throttled 7\nthrottled_usec 3\n",
                "\(groups)/a/b/cpu.stat": "nr_throttled 1\n",
            ])
        #expect(quota(in: tree)?.processors == 2.5)
        #expect(quota(in: tree)?.throttled == 7, "not of the group that has the quota")
        try tree.write("150000 100000\n", to: "\(groups)/a/b/cpu.max")
        #expect(quota(in: tree)?.processors == 1.5)
    }

    @Test func `no quota is none, and what cannot be read is none`() throws {
        let unlimited = try tree(Self.version2, Self.version2Mount, ["sys/fs/cgroup/system.slice/a/cpu.max": "max 100000\n"])
        #expect(quota(in: unlimited) == nil)
        let groups = "sys/fs/cgroup/cpu,cpuacct"
        let old = try tree(
            Self.version1, Self.version1Mount,
            ["\(groups)/cpu.cfs_quota_us": "-1\n", "\(groups)/cpu.cfs_period_us": "100000\n"])
        #expect(quota(in: old) == nil)
        for (membership, mounts) in [("", ""), ("0::\nx\n0", "1 2 3\n- - -\n\n"), (Self.version2, Self.version1Mount)] {
            #expect(quota(in: try tree(membership, mounts, [:])) == nil)
        }
        #expect(CPUQuota(root: "/nowhere") == nil)
    }

    @Test func `version 1's quotas are found at every level`() throws {
        let groups = "sys/fs/cgroup/cpu,cpuacct/docker"
        let tree = try tree(
            Self.version1, Self.version1Mount,
            [
                "\(groups)/cpu.cfs_quota_us": "50000\n", "\(groups)/cpu.cfs_period_us": "100000\n",
                "\(groups)/c0/job/cpu.cfs_quota_us": "150000\n", "\(groups)/c0/job/cpu.cfs_period_us": "100000\n",
                "\(groups)/cpu.stat": "nr_periods 30\nnr_throttled 12\nthrottled_time 99\n",
            ])
        #expect(quota(in: tree)?.processors == 0.5)
        #expect(quota(in: tree)?.throttled == 12)
    }

    @Test func `a container that sees its own group as the root finds what is under it`() throws {
        let files = [
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "300000\n",
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
        ]
        let mounted = try tree(Self.version1, Self.version1Mount, mountedAs: "/docker/c0", files)
        #expect(quota(in: mounted)?.processors == 3)
    }

    @Test func `where the path is another namespace's, the visible part of it counts`() throws {
        let nested = ["sys/fs/cgroup/b/cpu.max": "200000 100000\n", "sys/fs/cgroup/cpu.max": "max 100000\n"]
        #expect(quota(in: try tree(Self.version2, Self.version2Mount, nested))?.processors == 2)
        let own = ["sys/fs/cgroup/cpu.max": "350000 100000\n"]
        for membership in ["0::/kubepods/pod1/c1\n", "0::/../../init.scope\n", "0::/\n"] {
            #expect(quota(in: try tree(membership, Self.version2Mount, own))?.processors == 3.5, "\(membership)")
        }
        #expect(quota(in: try tree("0::/\n", Self.version2Mount, mountedAs: "/../..", own))?.processors == 3.5)
    }

    @Test func `the tightest group's memory is what is left, and pages of files are no loss`() throws {
        let groups = "sys/fs/cgroup/system.slice"
        let machine = "MemTotal:       8000000 kB\nMemFree:  1 kB\nMemAvailable:    3000000 kB\nSwapFree:  1000 kB\n"
        let tree = try tree(
            Self.version2, Self.version2Mount,
            [
                "proc/meminfo": machine, "\(groups)/memory.max": "1000000000\n", "\(groups)/memory.current": "900000000\n",
                "\(groups)/memory.stat": "anon 5\ninactive_file 300000000\nactive_file 100000000\nslab 7\n",
                "\(groups)/a/memory.max": "max\n", "\(groups)/a/memory.current": "1\n",
                "\(groups)/a/b/memory.max": "2000000000\n", "\(groups)/a/b/memory.current": "800000000\n",
                "\(groups)/other/memory.max": "1\n", "\(groups)/other/memory.current": "1\n",
            ])
        try withExtendedLifetime(tree) {
            let room = try #require(MemoryRoom(root: tree.path))
            #expect(room.bytes == 500_000_000)
            #expect(room.owner.contains("953 MB that control group") && room.owner.hasSuffix("system.slice may have"))
            try tree.write("100000000\n", to: "\(groups)/memory.max")
            #expect(MemoryRoom(root: tree.path)?.bytes == 0, "a group beyond its limit")
        }
    }

    @Test func `without a group's limit the machine's memory and swap are what is left, and nothing where nothing tells`()
        throws
    {
        let groups = "sys/fs/cgroup/memory/docker"
        let mounts = Self.version1Mount + "37 24 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
        let tree = try tree(
            Self.version1, mounts,
            [
                "proc/meminfo": "MemTotal: 64 kB\nMemAvailable: 40 kB\nSwapFree: 2 kB\n",
                "\(groups)/memory.limit_in_bytes": "9223372036854771712\n", "\(groups)/memory.usage_in_bytes": "5\n",
                "\(groups)/c0/memory.limit_in_bytes": "9223372036854771712\n",
            ])
        try withExtendedLifetime(tree) {
            #expect(MemoryRoom(root: tree.path)?.bytes == 42 << 10)
            try tree.write("30000\n", to: "\(groups)/memory.limit_in_bytes")
            try tree.write("total_inactive_file 3\ninactive_file 1000\n", to: "\(groups)/memory.stat")
            #expect(MemoryRoom(root: tree.path)?.bytes == 29998)
        }
        #expect(MemoryRoom(root: "/nowhere") == nil)
        #expect((MemoryRoom()?.bytes ?? 1) > 0)
    }
}
