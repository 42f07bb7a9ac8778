import DequeModule
import Dispatch
import Engine
import Synchronization

/// The one way to the model: a bounded queue in front of the inference thread.
///
/// Whatever waits when the model becomes free is its next batch, in order, up to `batchTokens`: the texts of a request may
/// spread over several. There is no window in which a text waits for others. Who cannot be answered in time is told so as
/// soon as that is known: before it waits, by the pace of the batches before it, or else when its time is over. Clients that
/// were refused, and ask again, get the places that become free in turn: who was refused first is first.
package final class InferenceQueue: Sendable {
    package struct Limits: Sendable {
        /// The most texts that are accepted and not in a batch yet.
        let texts: Int
        /// The most tokens of a batch; a longer text goes alone.
        let batchTokens: Int

        package init(texts: Int, batchTokens: Int) {
            self.texts = texts
            self.batchTokens = batchTokens
        }
    }

    let limits: Limits
    /// The most tokens that wait: no bound for models that cut texts off, but of a fastText model's each text may be long.
    private let waitingTokens: Int
    private let classifier: Classifier
    private let metrics: ModelMetrics
    private let state = Mutex(State())

    private struct State {
        var jobs: Deque<Job> = []
        /// Who waits for a place, by when they were refused first.
        var line: Deque<Waiter> = []
        /// Accepted and not in a batch yet, those that are still being tokenized too.
        var texts = 0
        /// Of the jobs' texts that are in no batch yet.
        var tokens = 0
        /// Whether the inference thread will look at the jobs by itself.
        var isRunning = false
        /// The last batch that was made: its jobs, its tokens, and when it took its place in the thread's line.
        var running: (jobs: [Job], tokens: Int, inLine: ContinuousClock.Instant) = ([], 0, .now)
        var pace = Pace()
        /// Of passes that are short enough for any thread, each taken for one token.
        var shortPace = Pace()
        /// When deadlines are looked at next; nil for never.
        var nextLook: ContinuousClock.Instant?

        /// How long the model still has to do with what is before a new text.
        func wait(at now: ContinuousClock.Instant) -> Duration {
            guard isRunning else { return .zero }
            return pace.time(for: tokens) + max(.zero, pace.time(for: running.tokens) - (now - running.inLine))
        }

        /// Leaves out what of chosen jobs is in no batch yet.
        mutating func remove(where isChosen: (Job) -> Bool) {
            for job in jobs where isChosen(job) { forget(job) }
            jobs.removeAll(where: isChosen)
        }

        mutating func forget(_ job: Job) {
            texts -= job.encodings.count - job.next
            tokens -= job.tokensLeft
        }
    }

    package init(_ classifier: Classifier, _ limits: Limits, metrics: ModelMetrics) {
        self.classifier = classifier
        self.limits = limits
        self.metrics = metrics
        waitingTokens = max(Self.leastWaitingTokens, limits.texts * (classifier.maximumTokens ?? 0))
    }

    /// 64 MB of ids.
    private static let leastWaitingTokens = 8 << 20

    /// How many texts wait.
    package var depth: Int { state.withLock { $0.texts } }

    /// How many requests are tokenized and in no batch yet.
    package var waitingJobs: Int { state.withLock { $0.jobs.count } }

    /// How many clients that were refused wait for a place.
    package var inLine: Int { state.withLock { $0.line.count } }

    package var isFull: Bool { depth >= limits.texts }

    /// What a request is told when it is.
    package var full: RequestError { .queueFull(waiting: depth, asked: nil, limit: limits.texts) }

    /// Takes `count` places; throws where there are not as many. Whoever has them calls `predict` or `release`.
    ///
    /// - Parameter seat: one that the request has already.
    package func reserve(_ count: Int, _ seat: Seat? = nil) throws(RequestError) {
        let held = seat?.take(in: self) ?? 0
        let waiting: Int? = state.withLock { state in
            state.texts -= held
            guard state.texts + count <= limits.texts else { return state.texts }
            state.texts += count
            return nil
        }
        if let waiting { throw .queueFull(waiting: waiting, asked: count, limit: limits.texts) }
    }

    /// Gives `count` places back.
    package func release(_ count: Int) {
        let called = state.withLock { state in
            state.texts -= count
            return callUp(&state)
        }
        for waiter in called { waiter.continuation.resume() }
    }

    /// A place for a request whose client was refused before; throws where it does not come within a second, as long as the
    /// client was told to wait.
    ///
    /// - Parameter first: when that was for the first time since its last answer.
    package func seat(refusedSince first: ContinuousClock.Instant) async throws -> Seat {
        try await withUnsafeThrowingContinuation { continuation in
            let waiter = Waiter(refused: first, due: .now + .seconds(1), continuation: continuation)
            let called = state.withLock { state in
                let place = state.line.lastIndex { $0.refused <= first }.map { $0 + 1 } ?? 0
                state.line.insert(waiter, at: place)
                look(at: waiter.due, &state)
                return callUp(&state)
            }
            for waiter in called { waiter.continuation.resume() }
        }
        return Seat(in: self)
    }

    /// Gives places that are free to those in line. Of many, as a batch leaves them, an eighth stays for whoever asks first,
    /// since a client that comes over a new connection each time is never in the line.
    private func callUp(_ state: inout State) -> [Waiter] {
        let free = max(0, limits.texts - state.texts)
        let called = Array(state.line.prefix(free - free / 8))
        state.texts += called.count
        state.line.removeFirst(called.count)
        return called
    }

    private struct Waiter {
        let refused: ContinuousClock.Instant
        let due: ContinuousClock.Instant
        let continuation: UnsafeContinuation<Void, any Error>
    }

    /// A prediction for each encoding, in order; their places are reserved. Throws where the deadline passes, or is certain
    /// to, and where the client is gone before the model gets to them.
    package func predict(_ encodings: [Encoding], for client: Client) async throws -> Answer {
        if let known = try classifier.cachedPredictions(encodings) {
            release(encodings.count)
            return Answer(predictions: known, queued: .zero, inferred: .zero)
        }
        return try await withUnsafeThrowingContinuation { continuation in
            let job = Job(encodings, client, continuation)
            let (refusal, wakes) = state.withLock { state -> (RequestError?, Bool) in
                if let refusal = reasonToRefuse(job, state) {
                    state.texts -= encodings.count
                    return (refusal, false)
                }
                state.jobs.append(job)
                state.tokens += job.tokensLeft
                look(at: client.deadline, &state)
                defer { state.isRunning = true }
                return (nil, !state.isRunning)
            }
            if let refusal { job.end(.failure(refusal)) }
            guard wakes else { return }
            let inLine = ContinuousClock.now
            if mayRunHere(job), classifier.runHere({ runBatch(inLine: inLine) }) { return }
            joinLine()
        }
    }

    /// A pass of so many tokens, and of this time, is done on the event loop of a request that is alone. The way to the inference
    /// thread and back wakes two threads, 50 to 100 µs each in a virtual machine; a loop that is held up for longer would have
    /// others wait.
    private static let (shortTokens, shortTime) = (32, Duration.milliseconds(1))

    private func mayRunHere(_ job: Job) -> Bool {
        job.client.isAlone && job.tokensLeft <= Self.shortTokens
            && state.withLock { $0.shortPace.isKnown && $0.shortPace.time(for: 1) <= Self.shortTime }
    }

    private func reasonToRefuse(_ job: Job, _ state: State) -> RequestError? {
        guard state.jobs.isEmpty || state.tokens + job.tokensLeft <= waitingTokens else {
            return .busy("texts of \(state.tokens) tokens wait for the model; the limit is \(waitingTokens)")
        }
        let wait = state.wait(at: job.queued)
        guard wait > .zero, job.queued + wait + state.pace.time(for: job.tokensLeft) > job.client.deadline else {
            return nil
        }
        return .tooLate(wait: wait)
    }

    private func joinLine() {
        let inLine = ContinuousClock.now
        classifier.enqueue { self.runBatch(inLine: inLine) }
    }

    /// On the inference thread, or in its place: one batch, then back in line behind others who use the model.
    private func runBatch(inLine: ContinuousClock.Instant) {
        let batch = nextBatch(inLine: inLine)
        for (job, error) in batch.dropped { job.end(.failure(error)) }
        for waiter in batch.called { waiter.continuation.resume() }
        guard !batch.parts.isEmpty else { return }
        let encodings = batch.parts.flatMap { $0.job.encodings[$0.texts] }
        let start = ContinuousClock.now
        let result = Result { try classifier.predict(encodings) }
        let end = ContinuousClock.now
        metrics.record(batchOf: encodings, took: end - start)
        switch result {
        case .success(let predictions):
            var first = 0
            for (job, texts) in batch.parts {
                job.predictions += predictions[first..<first + texts.count]
                first += texts.count
                if job.predictions.count == job.encodings.count { job.finish(at: end) }
            }
        case .failure(let error):
            fail(batch.parts.map(\.job), error)
        }
        let hasMore = state.withLock { state in
            let tokens = state.running.tokens
            state.pace.record(tokens: tokens, took: end - inLine, leavesMore: batch.leavesMore)
            if tokens <= Self.shortTokens { state.shortPace.record(tokens: 1, took: end - start, leavesMore: true) }
            state.running = ([], 0, end)
            state.isRunning = !state.jobs.isEmpty
            return state.isRunning
        }
        if hasMore { joinLine() }
    }

    private struct Batch {
        var parts: [(job: Job, texts: Range<Int>)] = []
        /// Whether texts wait that it has no room for.
        var leavesMore = false
        var dropped: [(job: Job, error: RequestError)] = []
        /// Who has got a place that became free.
        var called: [Waiter] = []
    }

    private func nextBatch(inLine: ContinuousClock.Instant) -> Batch {
        state.withLock { state in
            var batch = Batch()
            var tokens = 0
            let now = ContinuousClock.now
            while let job = state.jobs.first {
                if let error = job.client.reasonToDrop(at: now) {
                    state.jobs.removeFirst()
                    state.forget(job)
                    batch.dropped.append((job, error))
                    continue
                }
                let first = job.next
                while job.next < job.encodings.count {
                    let count = job.encodings[job.next].ids.count
                    if tokens > 0, tokens + count > limits.batchTokens { break }
                    tokens += count
                    job.next += 1
                    job.tokensLeft -= count
                    state.tokens -= count
                }
                if job.next > first {
                    if first == 0 { job.started = now }
                    state.texts -= job.next - first
                    batch.parts.append((job, first..<job.next))
                }
                guard job.next == job.encodings.count else { break }
                state.jobs.removeFirst()
            }
            state.isRunning = !batch.parts.isEmpty
            state.running = (batch.parts.map(\.job), tokens, inLine)
            batch.leavesMore = !state.jobs.isEmpty
            batch.called = callUp(&state)
            return batch
        }
    }

    /// Has deadlines looked at when this one is over, unless that is done before. One look for all of them: a timer for each
    /// request would cost more than its place in the queue.
    private func look(at deadline: ContinuousClock.Instant, _ state: inout State) {
        if let next = state.nextLook, next <= deadline { return }
        state.nextLook = deadline
        let nanoseconds = Int(max(0, min((deadline - .now) / .nanoseconds(1), 1e17)).rounded(.up))
        DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(nanoseconds)) { [weak self] in
            self?.endLate(due: deadline)
        }
    }

    /// Tells those whose time is over, whether they wait or their batch runs: what the model says of them then is dropped.
    private func endLate(due: ContinuousClock.Instant) {
        typealias Late = (jobs: [Job], waiters: [Waiter], called: [Waiter])
        let late: Late = state.withLock { state in
            // An earlier look has been asked for meanwhile, and sees to the rest.
            guard state.nextLook == due else { return ([], [], []) }
            state.nextLook = nil
            let now = ContinuousClock.now
            let jobs = state.running.jobs + state.jobs
            let late = (jobs.filter { $0.client.deadline <= now }, state.line.filter { $0.due <= now })
            state.remove { $0.client.deadline <= now }
            state.line.removeAll { $0.due <= now }
            let coming = (jobs.map(\.client.deadline) + state.line.map(\.due)).filter { $0 > now }
            // Of a thousand in line one is due each millisecond.
            if let next = coming.min() { look(at: max(next, now + .milliseconds(10)), &state) }
            return (late.0, Array(late.1), callUp(&state))
        }
        for job in late.jobs { job.end(.failure(RequestError.deadline)) }
        for waiter in late.waiters { waiter.continuation.resume(throwing: full) }
        for waiter in late.called { waiter.continuation.resume() }
    }

    /// Ends the jobs of a batch that failed, with what of them still waits.
    private func fail(_ jobs: [Job], _ error: any Error) {
        state.withLock { state in state.remove { job in jobs.contains { $0 === job } } }
        for job in jobs { job.end(.failure(error)) }
    }
}

extension InferenceQueue {
    /// Who waits for an answer.
    package struct Client: Sendable {
        let deadline: ContinuousClock.Instant
        /// Whether the connection is gone.
        let hasLeft: @Sendable () -> Bool
        /// Whether the server's time to finish what it accepted is over.
        let isAborted: @Sendable () -> Bool
        /// Whether the server has nothing else to answer.
        let isAlone: Bool

        package init(
            deadline: ContinuousClock.Instant, hasLeft: @escaping @Sendable () -> Bool,
            isAborted: @escaping @Sendable () -> Bool = { false }, isAlone: Bool = false
        ) {
            self.deadline = deadline
            self.hasLeft = hasLeft
            self.isAborted = isAborted
            self.isAlone = isAlone
        }

        func reasonToDrop(at now: ContinuousClock.Instant) -> RequestError? {
            if hasLeft() { return .clientGone }
            if isAborted() { return .stopping }
            return now >= deadline ? .deadline : nil
        }
    }

    package struct Answer: Sendable {
        package let predictions: [Prediction]
        /// From the end of tokenizing to the start of the first batch.
        package let queued: Duration
        /// From there to the end of the last batch.
        package let inferred: Duration

        package init(predictions: [Prediction], queued: Duration, inferred: Duration) {
            self.predictions = predictions
            self.queued = queued
            self.inferred = inferred
        }
    }

    /// A request's texts. Changed under the queue's lock or on the inference thread, never both at once: `next` and
    /// `started` while a batch is made, `predictions` behind it.
    private final class Job: @unchecked Sendable {
        let encodings: [Encoding]
        let client: Client
        private let continuation: UnsafeContinuation<Answer, any Error>
        private let hasEnded = Atomic(false)
        /// Of the texts that are in no batch yet.
        var tokensLeft: Int
        let queued = ContinuousClock.now
        var started: ContinuousClock.Instant?
        /// The first text that is in no batch yet.
        var next = 0
        var predictions: [Prediction] = []

        init(_ encodings: [Encoding], _ client: Client, _ continuation: UnsafeContinuation<Answer, any Error>) {
            self.encodings = encodings
            tokensLeft = encodings.reduce(0) { $0 + $1.ids.count }
            self.client = client
            self.continuation = continuation
        }

        func finish(at end: ContinuousClock.Instant) {
            let started = started ?? end
            self.end(.success(Answer(predictions: predictions, queued: started - queued, inferred: end - started)))
        }

        /// The first end counts: the model and the clock do not wait for each other.
        func end(_ result: Result<Answer, any Error>) {
            if !hasEnded.exchange(true, ordering: .relaxed) { continuation.resume(with: result) }
        }
    }
}
