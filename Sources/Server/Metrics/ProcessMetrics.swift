import Engine
import Foundation

/// What `/proc` tells of this process, under the names that Prometheus' own clients use.
struct ProcessMetrics {
    let cpuSeconds: Double
    let residentBytes: Double
    let virtualBytes: Double
    let startSeconds: Double
    let threads: Double
    let openDescriptors: Double
    let maximumDescriptors: Double
    /// nil without a CPU quota.
    let throttledPeriods: Double?

    /// nil where there is no `/proc`.
    static var current: ProcessMetrics? {
        func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
        // proc(5): the name in brackets may hold anything, so fields are counted behind it; state is field 3.
        guard let stat = text("/proc/self/stat"), let end = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[end...].split(separator: " ").dropFirst().map { Double($0) ?? 0 }
        guard fields.count > 21 else { return nil }
        func field(_ number: Int) -> Double { fields[number - 3] }
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        let boot = text("/proc/stat")?.split(separator: "\n").first { $0.hasPrefix("btime ") }?.dropFirst(6)
        // The folder's own descriptor is one of those it lists.
        let open = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 1
        return ProcessMetrics(
            cpuSeconds: (field(14) + field(15)) / ticks, residentBytes: field(24) * Double(getpagesize()),
            virtualBytes: field(23), startSeconds: (boot.flatMap { Double($0) } ?? 0) + field(22) / ticks,
            threads: field(20),
            openDescriptors: Double(open - 1), maximumDescriptors: Double(OpenFiles.limit ?? 0),
            throttledPeriods: CPUQuota()?.throttledPeriods.map(Double.init))
    }

    func write(to text: inout PrometheusText) {
        let throttled = "Periods in which the control group's CPU quota was used up and every thread had to wait."
        var figures: [(name: String, kind: String, help: String, value: Double)] = [
            ("process_cpu_seconds_total", "counter", "User and system CPU time.", cpuSeconds),
            ("process_max_fds", "gauge", "The most file descriptors that may be open.", maximumDescriptors),
            ("process_open_fds", "gauge", "Open file descriptors.", openDescriptors),
            ("process_resident_memory_bytes", "gauge", "Resident memory.", residentBytes),
            ("process_start_time_seconds", "gauge", "Start of the process, in seconds since 1970.", startSeconds),
            ("process_threads", "gauge", "Threads of the process.", threads),
            ("process_virtual_memory_bytes", "gauge", "Virtual memory.", virtualBytes),
        ]
        if let throttledPeriods {
            figures.append(("apus_cpu_throttled_periods_total", "counter", throttled, throttledPeriods))
        }
        for figure in figures {
            text.begin(figure.name, kind: figure.kind, help: figure.help)
            text.add(figure.name, "", figure.value)
        }
    }
}
