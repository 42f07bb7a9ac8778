import Foundation

enum OpenFiles {
    /// What a server has open beside its connections: files, pipes, event loops.
    private static let others = 128

    /// Raises the process's limit of open files, as far as it may be, to what so many connections need.
    static func allow(_ connections: Int) {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &limit) == 0 else { return }
        let needed = rlim_t(connections + others)
        guard limit.rlim_cur < needed else { return }
        limit.rlim_cur = min(limit.rlim_max, needed)
        setrlimit(resource, &limit)
    }
}
