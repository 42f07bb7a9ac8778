import Dispatch
import Engine
import Hummingbird
import NIOCore

/// The way of a request that has texts: its body read within the limits, its texts through the tokenizer and the queue.
struct TextPrediction: Sendable {
    /// A body up to here is parsed and tokenized on its connection's event loop; a larger one elsewhere, as other clients
    /// of the loop would have to wait for it: some 0.1 ms at this size.
    private static let inlineBytes = 16 << 10
    /// So many of the largest bodies may be on their way at once; small ones always.
    private static let largeBodies = 64

    /// What a body asks for.
    protocol Body: Sendable {
        var texts: [String] { get }
        /// The second text of each, or none at all.
        var pairs: [String?] { get }
        /// nil for the server's own way.
        var longTexts: LongTexts? { get }
        /// nil for the tokenizer's own.
        var truncationSide: TruncationSide? { get }
        /// The model that the body names; nil where it names none.
        var model: String? { get }
        /// The field that text `index` came from, for messages.
        func field(_ index: Int) -> String
    }

    let models: ModelRegistry
    let limits: ServerLimits
    let state: ServerState
    let records: TrainingRecords?
    private let workers = DispatchQueue(label: "apus.tokenizing", qos: .userInitiated, attributes: .concurrent)

    /// Reads the body with `parse` and predicts its texts, by the model in the path, the one that the body names, or the default.
    ///
    /// - Parameter timeout: the client's own; nil for the server's.
    func predict<RequestBody: Body>(
        _ request: Request, _ context: ApusRequestContext, timeout: Duration? = nil,
        parse: @escaping @Sendable ([UInt8]) throws -> RequestBody
    ) async throws -> (body: RequestBody, model: ServedModel, predictions: [Prediction]) {
        let start = ContinuousClock.now
        try state.refuseWhenStopping()
        let models = models.current
        let inPath = try context.modelInPath.map { name throws(RequestError) in try models.model(name) }
        // The body of a request that cannot be taken, by whatever model, is not even looked at.
        let possible = inPath.map { [$0] } ?? models.served
        var seat: Seat?
        if let queue = possible.first?.queue, possible.allSatisfy(\.queue.isFull) {
            guard let first = Refusals.current?.since else { throw queue.full }
            seat = try await queue.seat(refusedSince: first)
            try state.refuseWhenStopping()
        }
        let received = try await collect(request)
        let key = request.headers[.apusKey]
        let prepare: @Sendable () throws -> Prepared<RequestBody> = { [seat] in
            let start = ContinuousClock.now
            let body = try parse(received.unpacked())
            let asked = try Self.model(body.model, inPath: inPath, models)
            let model = try asked ?? models.model(for: key ?? context.facts.values.withLock { $0.identifier })
            return try encoded(body, model, seat, context, since: start)
        }
        let isSmall = received.coding == .identity && received.bytes.count <= Self.inlineBytes
        let prepared = try isSmall ? prepare() : await workers.run(prepare)
        let client = InferenceQueue.Client(
            deadline: start + min(timeout ?? limits.requestTimeout, limits.requestTimeout),
            hasLeft: { !context.channel.isActive }, isAborted: { state.isAborted }, isAlone: state.answersOne)
        // Requests that name no model are shared between the default model and the canary.
        let isShared = inPath == nil && prepared.body.model == nil
        let (answered, answer) = try await answer(prepared, client, context, sharedBy: isShared ? models : nil, since: start)
        let predictions = answered.predictions(answer)
        context.facts.values.withLock { facts in
            (facts.timing.queue, facts.timing.infer) = (answer.queued, answer.inferred)
        }
        note(answered, answer, predictions, models, context)
        if isShared {
            Self.note(predictions.map(\.best.label), of: answered.model, models, in: ContinuousClock.now - start)
        }
        return (answered.body, answered.model, predictions)
    }

    /// Has the model answer; where a canary has none, the default model, as that must not be the client's trouble.
    ///
    /// - Parameter models: those that share the request; nil where it names its model.
    private func answer<RequestBody: Body>(
        _ prepared: Prepared<RequestBody>, _ client: InferenceQueue.Client, _ context: ApusRequestContext,
        sharedBy models: ModelRegistry.Models?, since start: ContinuousClock.Instant
    ) async throws -> (Prepared<RequestBody>, InferenceQueue.Answer) {
        do {
            return (prepared, try await prepared.model.queue.predict(prepared.encodings, for: client))
        } catch {
            guard let models else { throw error }
            Self.noteFailure(error, of: prepared.model, models, after: ContinuousClock.now - start)
            guard !(error is RequestError), let standard = models.standard, prepared.model !== standard else { throw error }
            let again = try encoded(prepared.body, standard, nil, context, since: .now)
            return (again, try await standard.queue.predict(again.encodings, for: client))
        }
    }

    /// Tells all who keep count of answers, or remember them.
    private func note(
        _ prepared: Prepared<some Body>, _ answer: InferenceQueue.Answer, _ predictions: [Prediction],
        _ models: ModelRegistry.Models, _ context: ApusRequestContext
    ) {
        let (model, body) = (prepared.model, prepared.body)
        let identifier = context.facts.values.withLock { $0.identifier }
        model.metrics.record(answer, tokenized: prepared.duration)
        if let traits = prepared.traits { model.drift?.record(predictions, traits) }
        model.memory?.record(predictions, of: identifier)
        records?.record(body.texts, pairs: body.pairs, predictions, of: identifier, model: model.identity)
        if let shadow = models.shadow, model === models.standard {
            shadow.offer(
                predictions.indices.map { index in
                    Shadow.Sample(
                        text: body.texts[index], pair: Self.pair(index, body), longTexts: body.longTexts,
                        truncationSide: body.truncationSide, prediction: predictions[index],
                        duration: answer.inferred / predictions.count, identifier: identifier, answeredBy: model)
                })
        }
    }

    /// The one that the path or the body names; nil where neither does.
    private static func model(
        _ named: String?, inPath: ServedModel?, _ models: ModelRegistry.Models
    ) throws(RequestError) -> ServedModel? {
        guard let named else { return inPath }
        let model = try models.model(named)
        guard inPath == nil || model === inPath else {
            throw .invalid(
                "field \"model\" is \"\(named)\", but the path is \"\(inPath!.names.name)\"'s; leave the field out")
        }
        return model
    }

    /// Tells the canary, where there is one, how a request went that it or the default model got.
    private static func note(
        _ labels: [String]?, of model: ServedModel, _ models: ModelRegistry.Models, in duration: Duration
    ) {
        guard let canary = models.canary, let standard = models.standard, let own = models.find(canary.name) else { return }
        canary.record(labels, in: duration, isOwn: model === own, (own, standard))
    }

    /// Of a request that failed by no fault of the client's.
    private static func noteFailure(
        _ error: any Error, of model: ServedModel, _ models: ModelRegistry.Models, after duration: Duration
    ) {
        let status = (error as? RequestError)?.status ?? .internalServerError
        if [.internalServerError, .gatewayTimeout].contains(status) { note(nil, of: model, models, in: duration) }
    }

    /// A body's texts as a model reads them, with their places in its queue.
    private func encoded<RequestBody: Body>(
        _ body: RequestBody, _ model: ServedModel, _ seat: Seat?, _ context: ApusRequestContext,
        since start: ContinuousClock.Instant
    ) throws -> Prepared<RequestBody> {
        context.facts.values.withLock { $0.model = model.identity }
        let queue = model.queue
        var reserved = body.texts.count
        try queue.reserve(reserved, seat)
        do {
            let inputs = try body.texts.indices.map { try input($0, body, model.classifier) }
            // A long text is as many as it has windows.
            let encodings = inputs.flatMap(\.encodings)
            try queue.reserve(encodings.count - reserved)
            reserved = encodings.count
            let traits = model.drift == nil ? nil : traits(body, inputs, model.classifier)
            let duration = ContinuousClock.now - start
            context.facts.values.withLock { facts in
                facts.texts = encodings.count
                facts.tokens = encodings.reduce(0) { $0 + $1.ids.count }
                facts.timing.tokenize = duration
            }
            return Prepared(
                body: body, model: model, inputs: inputs, encodings: encodings, traits: traits, duration: duration)
        } catch {
            queue.release(reserved)
            throw error
        }
    }

    private struct Prepared<RequestBody: Body>: Sendable {
        let body: RequestBody
        let model: ServedModel
        let inputs: [Classifier.TextInput]
        let encodings: [Encoding]
        /// For drift.
        let traits: [TextTraits]?
        let duration: Duration

        /// The answer's predictions are of encodings; these are of texts.
        func predictions(_ answer: InferenceQueue.Answer) -> [Prediction] {
            var first = 0
            return inputs.map { input in
                defer { first += input.encodings.count }
                return model.classifier.prediction(input, answer.predictions[first..<first + input.encodings.count])
            }
        }
    }

    /// A body as it came over the wire.
    struct ReceivedBody: Sendable {
        let bytes: [UInt8]
        let coding: ContentCoding
        fileprivate let limit: Int

        func unpacked() throws(RequestError) -> [UInt8] { try coding.unpacked(bytes, limit: limit) }
    }

    /// The body, within the limits.
    func collect(_ request: Request) async throws -> ReceivedBody {
        let coding = try ContentCoding(request.head)
        let tooLarge = RequestError(
            .contentTooLarge, "body_too_large", "the body is larger than the limit of \(limits.bodyBytes) bytes")
        // A length beyond every number is too large as well; a chunked body may have any.
        let length = request.headers[.contentLength].map { Int($0) ?? .max }
        if let length, length > limits.bodyBytes { throw tooLarge }
        var reserved = 0
        defer { state.largeBodies.release(reserved) }
        func reserveWhereLarge(_ bytes: Int) throws(RequestError) {
            guard reserved == 0, bytes > Self.inlineBytes else { return }
            let expected = length ?? limits.bodyBytes
            guard state.largeBodies.reserve(expected, of: Self.largeBodies * limits.bodyBytes) else {
                throw .busy("too many large bodies are being received")
            }
            reserved = expected
        }
        try reserveWhereLarge(length ?? 0)
        do {
            var bytes: [UInt8] = []
            for try await part in request.body {
                let count = bytes.count + part.readableBytes
                if count > limits.bodyBytes { throw tooLarge }
                // One without a length, as gRPC has them, may turn out to be large.
                try reserveWhereLarge(count)
                bytes.append(contentsOf: part.readableBytesView)
            }
            return ReceivedBody(bytes: bytes, coding: coding, limit: limits.bodyBytes)
        } catch let error as RequestError {
            throw error
        } catch let error as UnreadableBody {
            throw error.reason
        } catch {
            throw RequestError(.badRequest, "incomplete_body", "the body ended before its length")
        }
    }

    private static func pair(_ index: Int, _ body: some Body) -> String? {
        body.pairs.indices.contains(index) ? body.pairs[index] : nil
    }

    private func traits(
        _ body: some Body, _ inputs: [Classifier.TextInput], _ classifier: Classifier
    ) -> [TextTraits] {
        body.texts.indices.map { index in
            classifier.traits(of: body.texts[index], pair: Self.pair(index, body), inputs[index])
        }
    }

    private func input(
        _ index: Int, _ body: some Body, _ classifier: Classifier
    ) throws(RequestError) -> Classifier.TextInput {
        let pair = Self.pair(index, body)
        do {
            // Who says where to cut wants no windows.
            let isCut = body.longTexts == nil && body.truncationSide != nil && classifier.longTexts == .windows
            return try classifier.input(
                body.texts[index], pair: pair, index: index, longTexts: isCut ? .truncate : body.longTexts,
                cutting: body.truncationSide)
        } catch {
            throw .invalid("field \"\(body.field(index))\" \(error.problem)")
        }
    }
}

extension DispatchQueue {
    fileprivate func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withUnsafeThrowingContinuation { continuation in
            async { continuation.resume(with: Result(catching: work)) }
        }
    }
}
