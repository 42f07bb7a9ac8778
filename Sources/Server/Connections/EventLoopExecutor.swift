import NIOCore

/// Runs a connection's tasks on the event loop that serves its socket: a request then goes to the inference thread and back,
/// and no further thread is woken for it.
final class EventLoopExecutor: TaskExecutor {
    private let eventLoop: any EventLoop

    private init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }

    /// One for each of a group's loops.
    static func executors(of group: any EventLoopGroup) -> [ObjectIdentifier: EventLoopExecutor] {
        let loops = group.makeIterator().map { (ObjectIdentifier($0), EventLoopExecutor($0)) }
        return Dictionary(loops) { first, _ in first }
    }
}
