import Foundation

/// The control groups of this process under one controller: its own and all above it that it sees, as folders. Those of
/// version 2 and of version 1, as mounted.
struct ControlGroups {
    let folders: [String]

    /// - Parameters:
    ///   - controller: version 1's name of it: `cpu`, `memory`.
    ///   - root: before the paths of `/proc` and of what is mounted.
    init(_ controller: Substring, root: String) {
        func has(_ controllers: Substring) -> Bool { controllers.split(separator: ",").contains(controller) }
        // "0::/a/b" is version 2, "4:cpu,cpuacct:/a/b" one of version 1's hierarchies.
        let memberships = Self.lines(root + "/proc/self/cgroup")
            .map { $0.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false) }.filter { $0.count == 3 }
        folders = Self.lines(root + "/proc/self/mountinfo").flatMap { line -> [String] in
            // proc(5): "36 35 0:30 ROOT MOUNTPOINT OPTIONS FIELDS… - TYPE SOURCE SUPEROPTIONS"
            let fields = line.split(separator: " ")
            guard let dash = fields.firstIndex(of: "-"), dash > 5, fields.count > dash + 3 else { return [] }
            let isVersion1 = fields[dash + 1] == "cgroup" && has(fields[dash + 3])
            guard isVersion1 || fields[dash + 1] == "cgroup2",
                let group = memberships.first(where: { isVersion1 ? has($0[1]) : $0[1].isEmpty })
            else { return [] }
            return Self.folders(from: Self.components(group[2]), mountedAs: Self.components(fields[3]), at: root + fields[4])
        }
    }

    private static func folders(from path: [Substring], mountedAs top: [Substring], at mountPoint: String) -> [String] {
        func folder(_ path: some Collection<Substring>) -> String { ([Substring(mountPoint)] + path).joined(separator: "/") }
        var path = path.starts(with: top) ? path.dropFirst(top.count) : path[...]
        // A container may be told its path on the host, and see only the part of the tree from its own group down.
        while !path.isEmpty, !FileManager.default.fileExists(atPath: folder(path)) { path.removeFirst() }
        return (0...path.count).map { folder(path.dropLast($0)) }
    }

    /// Of a path; ".." is what a group outside the process' namespace is shown behind.
    private static func components(_ path: Substring) -> [Substring] { path.split(separator: "/").filter { $0 != ".." } }

    static func lines(_ path: String) -> [Substring] {
        ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "").split(separator: "\n")
    }

    /// The number behind `name` in a file of lines "name number", units aside; nil where there is none.
    static func number(_ name: String, in path: String) -> Int? {
        lines(path).lazy.map { $0.split(separator: " ") }.first { $0.count > 1 && $0[0] == name }.flatMap { Int($0[1]) }
    }
}
