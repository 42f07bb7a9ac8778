import Foundation

/// Whether the system gives this process the threads without which nothing goes on: Swift's runtime waits for them for ever.
enum ThreadCheck {
    /// Its queues' manager and a worker (libdispatch), and the one of forward passes.
    private static let needed = 3

    /// Nil, or why not.
    static func failure() -> String? {
        let gate = NSLock()
        var threads: [pthread_t] = []
        var status: Int32 = 0
        gate.lock()
        for _ in 0..<needed where status == 0 {
            #if canImport(Darwin)
                var thread: pthread_t?
            #else
                var thread = pthread_t()
            #endif
            status = pthread_create(
                &thread, nil,
                { context in
                    #if canImport(Darwin)
                        let gate = Unmanaged<NSLock>.fromOpaque(context).takeUnretainedValue()
                    #else
                        let gate = Unmanaged<NSLock>.fromOpaque(context!).takeUnretainedValue()
                    #endif
                    gate.withLock {}  // until all have been asked for
                    return nil
                }, Unmanaged.passUnretained(gate).toOpaque())
            #if canImport(Darwin)
                if status == 0, let thread { threads.append(thread) }
            #else
                if status == 0 { threads.append(thread) }
            #endif
        }
        gate.unlock()
        for thread in threads { pthread_join(thread, nil) }
        guard status != 0 else { return nil }
        return
            "the system gives \(threads.count) threads beside the first (pthread_create: \(String(cString: strerror(status)))); "
            + "\(needed) are needed: raise the limit of processes (ulimit -u, --pids-limit)"
    }
}
