/// How much more memory this process may take before the system ends it: what the tightest of its control groups leaves, or the
/// machine. Swap counts only where no group limits: a model that is swapped out answers nobody in time.
package struct MemoryRoom: Sendable {
    package let bytes: Int
    /// Whose memory that is, in words.
    package let owner: String

    /// nil where nothing tells.
    ///
    /// - Parameter root: before the paths of `/proc` and of what is mounted.
    package init?(root: String = "") {
        let groups = ControlGroups("memory", root: root).folders.compactMap(Self.init(group:))
        let rooms = groups + [Self(machine: root)].compactMap(\.self)
        guard let least = rooms.min(by: { $0.bytes < $1.bytes }) else { return nil }
        self = least
    }

    private init(bytes: Int, owner: String) {
        self.bytes = max(0, bytes)
        self.owner = owner
    }

    /// Pages of files count as the group's, and go when it needs them.
    private init?(group: String) {
        // Version 2's names, then version 1's.
        for (limit, usage, files) in [
            ("memory.max", "memory.current", ["inactive_file", "active_file"]),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", ["total_inactive_file", "total_active_file"]),
        ] {
            // "max" is no number, and no group's limit of version 1 something near 2^63.
            guard let limit = ControlGroups.lines("\(group)/\(limit)").first.flatMap({ Int($0) }), limit < 1 << 60,
                let usage = ControlGroups.lines("\(group)/\(usage)").first.flatMap({ Int($0) })
            else { continue }
            let cached = files.reduce(0) { $0 + (ControlGroups.number($1, in: "\(group)/memory.stat") ?? 0) }
            self.init(bytes: limit - usage + cached, owner: "the \(limit >> 20) MB that control group \(group) may have")
            return
        }
        return nil
    }

    private init?(machine root: String) {
        func kilobytes(_ name: String) -> Int? { ControlGroups.number(name, in: root + "/proc/meminfo") }
        guard let available = kilobytes("MemAvailable:"), let total = kilobytes("MemTotal:") else { return nil }
        self.init(
            bytes: (available + (kilobytes("SwapFree:") ?? 0)) << 10, owner: "the \(total >> 10) MB of this machine")
    }
}

extension Checkpoint {
    /// Throws where the weights cannot fit the memory that is left, before any is taken: what the kernel's out-of-memory killer
    /// ends can say nothing. Tables of the vocabulary stay in their file, and passes take some megabytes that are not counted.
    package func checkMemory(_ precision: Precision, vocabulary: Int, room: MemoryRoom? = MemoryRoom()) throws(InputError) {
        guard let room else { return }
        let numbers = tensors.values.reduce(0) { sum, tensor in
            tensor.shape.first == vocabulary ? sum : sum + tensor.shape.reduce(1, *)
        }
        let needed = precision == .int8 ? numbers : numbers * MemoryLayout<Float>.size
        guard needed > room.bytes else { return }
        throw InputError(
            name,
            "its weights take \(needed >> 20) MB of memory as \(precision.rawValue), and \(room.bytes >> 20) MB are left of "
                + "\(room.owner): give the process more memory, or take a smaller model"
                + (precision == .f32 ? " or int8" : ""))
    }
}
