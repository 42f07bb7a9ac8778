import Foundation

/// The process's limit of open file descriptors.
public enum OpenFiles {
    #if canImport(Darwin)
        private static let resource = RLIMIT_NOFILE
    #else
        private static let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #endif

    private static var bounds: rlimit? {
        var bounds = rlimit()
        return getrlimit(resource, &bounds) == 0 ? bounds : nil
    }

    /// How many may be open; nil where the system does not tell.
    package static var limit: UInt64? { bounds.map { UInt64($0.rlim_cur) } }

    /// Raises the limit to `count`, or as far as it may be. Returns how many of these may be open.
    public static func allow(_ count: Int) -> Int {
        guard var bounds, bounds.rlim_cur < rlim_t(count) else { return count }
        bounds.rlim_cur = min(bounds.rlim_max, rlim_t(count))
        setrlimit(resource, &bounds)
        return Int(bounds.rlim_cur)
    }
}
