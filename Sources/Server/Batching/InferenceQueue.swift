import DequeModule
import Engine
import Synchronization

/// The one way to the model: a bounded queue in front of the inference thread.
///
/// Whatever waits when the model becomes free is its next batch, in order, up to `batchTokens`: the texts of a request may
/// spread over several. There is no window in which a text waits for others.
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
        /// Accepted and not in a batch yet, those that are still being tokenized too.
        var texts = 0
        /// Those of the jobs, until all of a job's texts are in batches.
        var tokens = 0
        /// Whether the inference thread will look at the jobs by itself.
        var isRunning = false
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

    package var isFull: Bool { depth >= limits.texts }

    /// Takes `count` places; throws where there are not as many. Whoever has them calls `predict` or `release`.
    package func reserve(_ count: Int) throws(RequestError) {
        let waiting: Int? = state.withLock { state in
            guard state.texts + count <= limits.texts else { return state.texts }
            state.texts += count
            return nil
        }
        if let waiting { throw .queueFull(waiting: waiting, asked: count, limit: limits.texts) }
    }

    /// Gives `count` places back.
    package func release(_ count: Int) { state.withLock { $0.texts -= count } }

    /// A prediction for each encoding, in order; their places are reserved. Throws where the deadline passes or the client
    /// is gone before the model gets to them.
    package func predict(_ encodings: [Encoding], for client: Client) async throws -> Answer {
        if let known = try classifier.cachedPredictions(encodings) {
            release(encodings.count)
            return Answer(predictions: known, queued: .zero, inferred: .zero)
        }
        return try await withUnsafeThrowingContinuation { continuation in
            let job = Job(encodings, client, continuation)
            let (refusal, wakes) = state.withLock { state -> (RequestError?, Bool) in
                guard state.jobs.isEmpty || state.tokens + job.tokens <= waitingTokens else {
                    state.texts -= encodings.count
                    return (
                        .busy("texts of \(state.tokens) tokens wait for the model; the limit is \(waitingTokens)"), false
                    )
                }
                state.jobs.append(job)
                state.tokens += job.tokens
                defer { state.isRunning = true }
                return (nil, !state.isRunning)
            }
            if let refusal { continuation.resume(throwing: refusal) }
            if wakes { classifier.enqueue { self.runBatch() } }
        }
    }

    /// On the inference thread: one batch, then back in line behind others who use the model.
    private func runBatch() {
        let batch = nextBatch()
        for (job, error) in batch.dropped { job.continuation.resume(throwing: error) }
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
        classifier.enqueue { self.runBatch() }
    }

    private struct Batch {
        var parts: [(job: Job, texts: Range<Int>)] = []
        var dropped: [(job: Job, error: RequestError)] = []
    }

    private func nextBatch() -> Batch {
        state.withLock { state in
            var batch = Batch()
            var tokens = 0
            let now = ContinuousClock.now
            while let job = state.jobs.first {
                if let error = job.client.reasonToDrop(at: now) {
                    state.jobs.removeFirst()
                    state.texts -= job.encodings.count - job.next
                    state.tokens -= job.tokens
                    batch.dropped.append((job, error))
                    continue
                }
                let first = job.next
                while job.next < job.encodings.count {
                    let count = job.encodings[job.next].ids.count
                    if tokens > 0, tokens + count > limits.batchTokens { break }
                    tokens += count
                    job.next += 1
                }
                if job.next > first {
                    if first == 0 { job.started = now }
                    state.texts -= job.next - first
                    batch.parts.append((job, first..<job.next))
                }
                guard job.next == job.encodings.count else { break }
                state.jobs.removeFirst()
                state.tokens -= job.tokens
            }
            state.isRunning = !batch.parts.isEmpty
            return batch
        }
    }

    /// Ends the jobs of a batch that failed, with what of them still waits.
    private func fail(_ jobs: [Job], _ error: any Error) {
        state.withLock { state in
            for job in jobs where job.next < job.encodings.count {
                state.texts -= job.encodings.count - job.next
                state.tokens -= job.tokens
                state.jobs.removeAll { $0 === job }
            }
        }
        for job in jobs { job.continuation.resume(throwing: error) }
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

        package init(
            deadline: ContinuousClock.Instant, hasLeft: @escaping @Sendable () -> Bool,
            isAborted: @escaping @Sendable () -> Bool = { false }
        ) {
            self.deadline = deadline
            self.hasLeft = hasLeft
            self.isAborted = isAborted
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
        let continuation: UnsafeContinuation<Answer, any Error>
        let tokens: Int
        let queued = ContinuousClock.now
        var started: ContinuousClock.Instant?
        /// The first text that is in no batch yet.
        var next = 0
        var predictions: [Prediction] = []

        init(_ encodings: [Encoding], _ client: Client, _ continuation: UnsafeContinuation<Answer, any Error>) {
            self.encodings = encodings
            tokens = encodings.reduce(0) { $0 + $1.ids.count }
            self.client = client
            self.continuation = continuation
        }

        func finish(at end: ContinuousClock.Instant) {
            let started = started ?? end
            continuation.resume(
                returning: Answer(predictions: predictions, queued: started - queued, inferred: end - started))
        }
    }
}
