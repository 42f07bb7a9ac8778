import Foundation

/// A thread of its own for forward passes, one after the other in the order in which they were brought; whoever brings one
/// need not wait for it. With `APUS_TEAM=openmp` it is needed besides: OpenMP keeps workers for each thread that opens a
/// parallel region, so passes that came from any of a server's threads would multiply them.
package final class InferenceThread: Sendable {
    private let state: State

    private final class Job {
        var body: (() -> Void)?
        var isDone = false

        init(_ body: @escaping () -> Void) { self.body = body }

        /// A call of its own, so that nothing of the body is held when it returns.
        @inline(never) func perform() {
            body?()
            body = nil
        }
    }

    private final class State: @unchecked Sendable {
        let condition = NSCondition()
        /// For those who wait for a job's end.
        let ended = NSCondition()
        var work: [Job] = []
        var isStopping = false
        /// Whether a job runs on the thread.
        var isBusy = false
        var thread: pthread_t?
        /// Who does the thread's work at present, in its place.
        var guest: pthread_t?
        let isInBackground: Bool

        init(isInBackground: Bool) { self.isInBackground = isInBackground }

        func loop() {
            pthread_detach(pthread_self())
            if isInBackground { Self.yieldToOthers() }
            condition.lock()
            thread = pthread_self()
            while true {
                isBusy = false
                while guest != nil || work.isEmpty && !isStopping { condition.wait() }
                if work.isEmpty { break }
                let job = work.removeFirst()
                isBusy = true
                condition.unlock()
                job.perform()
                ended.withLock {
                    job.isDone = true
                    ended.broadcast()
                }
                condition.lock()
            }
            condition.unlock()
        }

        /// From now on this thread runs where no other one wants the processor, and leaves it as soon as one does.
        private static func yieldToOthers() {
            #if canImport(Darwin)
                pthread_set_qos_class_self_np(QOS_CLASS_BACKGROUND, 0)
            #else
                let idle: Int32 = 5  // SCHED_IDLE, which Glibc's module does not have
                var parameters = sched_param()
                pthread_setschedparam(pthread_self(), idle, &parameters)
            #endif
        }

        func append(_ job: Job) {
            condition.withLock {
                work.append(job)
                condition.signal()
            }
        }

        var isHere: Bool { condition.withLock { Self.isHere(thread) || Self.isHere(guest) } }

        private static func isHere(_ thread: pthread_t?) -> Bool {
            thread.map { pthread_equal($0, pthread_self()) != 0 } ?? false
        }

        /// Whether the caller does the thread's work from now on: where there is none.
        func takePlace() -> Bool {
            condition.withLock {
                guard work.isEmpty, !isBusy, guest == nil, !isInBackground else { return false }
                guest = pthread_self()
                return true
            }
        }

        func givePlaceBack() {
            condition.withLock {
                guest = nil
                if !work.isEmpty { condition.signal() }
            }
        }
    }

    /// False where the system gives no more threads: then work is done by whoever brings it.
    private let isRunning: Bool

    /// - Parameter isInBackground: whether its work may wait for all other threads of the machine.
    package init(isInBackground: Bool = false) {
        state = State(isInBackground: isInBackground)
        let context = Unmanaged.passRetained(state)
        #if canImport(Darwin)
            var thread: pthread_t?
        #else
            var thread = pthread_t()
        #endif
        let status = pthread_create(
            &thread, nil,
            { context in
                #if canImport(Darwin)
                    Unmanaged<State>.fromOpaque(context).takeRetainedValue().loop()
                #else
                    Unmanaged<State>.fromOpaque(context!).takeRetainedValue().loop()
                #endif
                return nil
            }, context.toOpaque())
        isRunning = status == 0
        if !isRunning { context.release() }
    }

    deinit {
        state.condition.withLock {
            state.isStopping = true
            state.condition.signal()
        }
    }

    /// Runs `body` on the thread, after all work that was brought before, and returns at once.
    package func enqueue(_ body: @escaping @Sendable () -> Void) {
        guard isRunning else { return DispatchQueue.global().async(execute: body) }
        state.append(Job(body))
    }

    /// Runs `body` on the caller's thread, in this one's place, where it has nothing to do: that spares the way there and back,
    /// two threads' awakening. False where it has, or works in the background; `body` is not run then.
    package func runHere(_ body: () -> Void) -> Bool {
        guard isRunning, state.takePlace() else { return false }
        defer { state.givePlaceBack() }
        body()
        return true
    }

    /// Runs `body` on the thread and returns when it has ended; from the thread itself, at once.
    package func run(_ body: () -> Void) {
        guard isRunning, !state.isHere else { return body() }
        withoutActuallyEscaping(body) { body in
            let job = Job(body)
            state.append(job)
            state.ended.withLock {
                while !job.isDone { state.ended.wait() }
            }
        }
    }
}
