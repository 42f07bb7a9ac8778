import Engine
import Foundation
import Server
import Synchronization
import Testing

/// One after the other, on a model of their own: they hold its thread.
@Suite(.serialized) struct InferenceQueueTests {
    private static let classifier = Result { try Classifier(try ModelDirectory.shipped()) }

    private static func encodings(_ count: Int, words: Int = 1) throws -> [Encoding] {
        let classifier = try classifier.get()
        return try (0..<count).map { try classifier.encode("\($0) " + String(repeating: "word ", count: words)) }
    }

    private static func queue(texts: Int = 1024, batchTokens: Int = 1024) throws -> (InferenceQueue, ServerMetrics) {
        let classifier = try classifier.get()
        let metrics = ServerMetrics()
        let figures = ModelMetrics("m", labels: classifier.labels, in: metrics.registry)
        return (InferenceQueue(classifier, .init(texts: texts, batchTokens: batchTokens), metrics: figures), metrics)
    }

    private static func client(
        deadline: Duration = .seconds(60), hasLeft: @escaping @Sendable () -> Bool = { false }
    ) -> InferenceQueue.Client {
        .init(deadline: .now + deadline, hasLeft: hasLeft)
    }

    /// Holds the inference thread until `release` is called.
    private final class Hold: Sendable {
        private let semaphore = DispatchSemaphore(value: 0)

        init() throws {
            let semaphore = semaphore
            try InferenceQueueTests.classifier.get().enqueue { semaphore.wait() }
        }

        func release() { semaphore.signal() }
    }

    private static func figure(_ name: String, _ metrics: ServerMetrics) -> Double? {
        metrics.registry.text.split(separator: "\n").first { $0.hasPrefix(name + "{model=\"m\"} ") }.flatMap {
            Double($0.split(separator: " ")[1])
        }
    }

    @Test func `what waits when the model becomes free is one batch`() async throws {
        let (queue, metrics) = try Self.queue()
        let encodings = try Self.encodings(20)
        let alone = try encodings.map { try Self.classifier.get().predict([$0])[0].scores }
        let hold = try Hold()
        try await withThrowingTaskGroup(of: (Int, [Prediction.Score]).self) { group in
            for (index, encoding) in encodings.enumerated() {
                group.addTask {
                    try queue.reserve(1)
                    return (index, try await queue.predict([encoding], for: Self.client()).predictions[0].scores)
                }
            }
            while queue.waitingJobs < 20 { await Task.yield() }
            hold.release()
            for try await (index, scores) in group { #expect(scores == alone[index]) }
        }
        #expect(Self.figure("apus_batch_texts_count", metrics) == 1)
        #expect(Self.figure("apus_batch_texts_sum", metrics) == 20)
        #expect(queue.depth == 0)
    }

    @Test func `a request's texts spread over batches and come back in order`() async throws {
        let (queue, metrics) = try Self.queue(batchTokens: 50)
        let encodings = try Self.encodings(30, words: 8)
        let alone = try encodings.map { try Self.classifier.get().predict([$0])[0].scores }
        try queue.reserve(30)
        let answer = try await queue.predict(encodings, for: Self.client())
        #expect(answer.predictions.map(\.scores) == alone)
        let tokens = encodings[0].ids.count
        #expect(Self.figure("apus_batch_texts_count", metrics) == Double((30 + 50 / tokens - 1) / (50 / tokens)))
        #expect(answer.inferred > .zero)
    }

    @Test func `a text longer than a batch goes alone`() async throws {
        let (queue, metrics) = try Self.queue(batchTokens: 1)
        try queue.reserve(3)
        #expect(try await queue.predict(try Self.encodings(3), for: Self.client()).predictions.count == 3)
        #expect(Self.figure("apus_batch_texts_count", metrics) == 3)
    }

    @Test func `a request beyond the bound is refused, and its places stay free`() throws {
        let (queue, _) = try Self.queue(texts: 10)
        try queue.reserve(7)
        #expect(throws: RequestError.self) { try queue.reserve(4) }
        try queue.reserve(3)
        #expect(queue.isFull)
        queue.release(10)
        #expect(queue.depth == 0)
        do {
            try queue.reserve(11)
            Issue.record("eleven texts went into a queue of ten")
        } catch {
            #expect(error.status == .tooManyRequests && error.headers[.retryAfter] == "1")
            #expect(error.message.contains("this request has 11; the limit is 10"))
        }
    }

    @Test func `a request whose deadline passed or whose client left is dropped before the model sees it`() async throws {
        let (queue, metrics) = try Self.queue()
        let encoding = try Self.encodings(1)
        let hasLeft = Mutex(false)
        let hold = try Hold()
        try await withThrowingTaskGroup(of: String.self) { group in
            let clients: [(String, InferenceQueue.Client)] = [
                ("late", Self.client(deadline: .zero)), ("gone", Self.client { hasLeft.withLock { $0 } }),
                ("good", Self.client()),
            ]
            for (name, client) in clients {
                group.addTask {
                    try queue.reserve(1)
                    do {
                        _ = try await queue.predict(encoding, for: client)
                        return "\(name): answered"
                    } catch let error as RequestError {
                        return "\(name): \(error.type)"
                    }
                }
            }
            // The late one does not wait: it is told at once.
            while queue.waitingJobs < 2 { await Task.yield() }
            hasLeft.withLock { $0 = true }
            hold.release()
            var outcomes: [String] = []
            for try await outcome in group { outcomes.append(outcome) }
            #expect(outcomes.sorted() == ["gone: client_gone", "good: answered", "late: deadline"])
        }
        #expect(Self.figure("apus_batch_texts_sum", metrics) == 1)
        #expect(queue.depth == 0)
    }

    @Test func `a deadline that passes while the model is busy ends its request then`() async throws {
        let (queue, metrics) = try Self.queue(batchTokens: 50)
        let hold = try Hold()
        try queue.reserve(30)
        let late = await Self.failure {
            try await queue.predict(try Self.encodings(30), for: Self.client(deadline: .milliseconds(20)))
        }
        #expect(late?.type == "deadline")
        #expect(queue.depth == 0 && queue.waitingJobs == 0)
        hold.release()
        try queue.reserve(1)
        _ = try await queue.predict(try Self.encodings(1), for: Self.client())
        #expect(Self.figure("apus_batch_texts_sum", metrics) == 1, "texts were run after their deadline")
    }

    /// Its first batch is done, and the thread is held before the second.
    @Test func `a deadline that passes between a request's batches ends it, and what is left of it is not run`() async throws
    {
        let (queue, metrics) = try Self.queue(batchTokens: 50)
        let (first, second, encodings) = (try Hold(), DispatchSemaphore(value: 0), try Self.encodings(30, words: 8))
        try queue.reserve(30)
        async let late = Self.failure { try await queue.predict(encodings, for: Self.client(deadline: .seconds(2))) }
        while queue.waitingJobs < 1 { await Task.yield() }
        try Self.classifier.get().enqueue { second.wait() }
        first.release()
        #expect(await late?.type == "deadline")
        #expect(queue.depth == 0)
        second.signal()
        try queue.reserve(1)
        _ = try await queue.predict(try Self.encodings(1), for: Self.client())
        let texts = 50 / encodings[0].ids.count
        #expect(Self.figure("apus_batch_texts_sum", metrics) == Double(texts + 1))
    }

    @Test func `what the queue cannot get to in time is refused at once, with the time that it needs`() async throws {
        let (queue, _) = try Self.queue(batchTokens: 50)
        let encodings = try Self.encodings(30, words: 8)
        // The pace: batches that leave texts behind.
        try queue.reserve(30)
        _ = try await queue.predict(encodings, for: Self.client())
        let hold = try Hold()
        try queue.reserve(30)
        async let waiting = queue.predict(encodings, for: Self.client())
        while queue.waitingJobs < 1 { await Task.yield() }
        try queue.reserve(1)
        let refusal = await Self.failure {
            try await queue.predict([encodings[0]], for: Self.client(deadline: .microseconds(100)))
        }
        #expect(refusal?.status == .tooManyRequests && refusal?.headers[.retryAfter] == "1")
        #expect(queue.depth == 30)
        hold.release()
        #expect(try await waiting.predictions.count == 30)
    }

    @Test func `places that become free go to who was refused first`() async throws {
        let (queue, _) = try Self.queue(texts: 1)
        try queue.reserve(1)
        let start = ContinuousClock.now
        let log = Log()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (count, second) in [3, 1, 4, 2].enumerated() {
                group.addTask {
                    // Each gives its place back, to the next.
                    let seat = try await queue.seat(refusedSince: start + .seconds(second))
                    log.seconds.withLock { $0.append(second) }
                    _ = seat
                }
                while queue.inLine <= count { await Task.yield() }
            }
            queue.release(1)
            try await group.waitForAll()
        }
        #expect(log.seconds.withLock { $0 } == [1, 2, 3, 4])
        #expect(queue.depth == 0)
    }

    private final class Log: Sendable {
        let seconds = Mutex<[Int]>([])
    }

    @Test func `of many places an eighth stays for who asks first, and a seat is one of a request's`() async throws {
        let (queue, _) = try Self.queue(texts: 16)
        try queue.reserve(16)
        try await withThrowingTaskGroup(of: Seat.self) { group in
            for _ in 0..<20 { group.addTask { try await queue.seat(refusedSince: .now) } }
            while queue.inLine < 20 { await Task.yield() }
            queue.release(16)
            #expect(queue.depth == 14 && queue.inLine == 6)
            var seat = try await group.next()
            #expect(throws: RequestError.self) { try queue.reserve(3) }
            try queue.reserve(3, seat)
            #expect(queue.depth == 16)
            seat = nil
            #expect(queue.depth == 16, "a seat that was taken was given back")
            // Those who got no place within a second are refused.
            while let result = await group.nextResult() {
                guard case .failure(let error) = result else { continue }
                #expect((error as? RequestError)?.type == "queue_full")
            }
        }
        #expect(queue.inLine == 0)
        queue.release(3)
        #expect(queue.depth == 0)
    }

    private static func failure(_ body: @Sendable () async throws -> InferenceQueue.Answer) async -> RequestError? {
        do {
            _ = try await body()
            return nil
        } catch {
            return error as? RequestError
        }
    }

    @Test func `beside a model that is flooded, another waits for one of its batches, not for its queue`() async throws {
        var options = Classifier.Options(threads: 1)
        options.workers = InferenceWorkers()
        let flooded = try Classifier(try ModelDirectory.shipped(), options: options)
        let quiet = try Classifier(try ModelDirectory.shipped(), options: options)
        let metrics = ServerMetrics()
        func queue(_ classifier: Classifier, _ name: String) -> InferenceQueue {
            InferenceQueue(
                classifier, .init(texts: 1024, batchTokens: 50),
                metrics: ModelMetrics(name, labels: classifier.labels, in: metrics.registry))
        }
        let (queues, encodings) = ((queue(flooded, "m"), queue(quiet, "quiet")), try Self.encodings(30, words: 8))
        let semaphore = DispatchSemaphore(value: 0)
        flooded.enqueue { semaphore.wait() }
        // Of the flood, done when the quiet model's batch is made: it is asked then whether its client has left.
        let before = Mutex<Double?>(nil)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try queues.0.reserve(30)
                _ = try await queues.0.predict(encodings, for: Self.client())
            }
            while queues.0.waitingJobs < 1 { await Task.yield() }
            let client = Self.client {
                before.withLock { $0 = Self.figure("apus_batch_texts_count", metrics) }
                return false
            }
            group.addTask {
                try queues.1.reserve(1)
                _ = try await queues.1.predict([encodings[0]], for: client)
            }
            while queues.1.waitingJobs < 1 { await Task.yield() }
            semaphore.signal()
            try await group.waitForAll()
        }
        #expect(before.withLock { $0 } == 1)
        #expect((Self.figure("apus_batch_texts_count", metrics) ?? 0) >= 6, "the flood was no flood")
    }
}
