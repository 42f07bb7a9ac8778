import Foundation

/// A thread of its own for forward passes: OpenMP keeps workers for each thread that opens a parallel region, so passes
/// that came from any of a server's threads would multiply them.
final class InferenceThread: Sendable {
    private let state = State()

    private final class State: @unchecked Sendable {
        let condition = NSCondition()
        var work: (() -> Void)?
        var tickets = 0
        var completed = 0
        var isStopping = false
        var thread: pthread_t?

        func loop() {
            pthread_detach(pthread_self())
            condition.lock()
            thread = pthread_self()
            while true {
                while work == nil, !isStopping { condition.wait() }
                guard let body = work else { break }
                work = nil
                condition.unlock()
                body()
                condition.lock()
                completed += 1
                condition.broadcast()
            }
            condition.unlock()
        }
    }

    /// False where the system gives no more threads: then work is done by whoever brings it.
    private let isRunning: Bool

    init() {
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
            state.condition.broadcast()
        }
    }

    /// Runs `body` on the thread and returns when it has ended; from the thread itself, at once. Callers take turns.
    func run(_ body: () -> Void) {
        guard isRunning else { return body() }
        let condition = state.condition
        condition.lock()
        if let thread = state.thread, pthread_equal(thread, pthread_self()) != 0 {
            condition.unlock()
            return body()
        }
        let ticket = state.tickets
        state.tickets += 1
        while state.completed < ticket { condition.wait() }
        withoutActuallyEscaping(body) { body in
            state.work = body
            condition.broadcast()
            while state.completed == ticket { condition.wait() }
        }
        condition.unlock()
    }
}
