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
    private let workers = DispatchQueue(label: "apus.tokenizing", qos: .userInitiated, attributes: .concurrent)

    /// Reads the body with `parse` and predicts its texts, by the model in the path, the one that the body names, or the default.
    func predict<RequestBody: Body>(
        _ request: Request, _ context: ApusRequestContext, parse: @escaping @Sendable ([UInt8]) throws -> RequestBody
    ) async throws -> (body: RequestBody, model: ServedModel, predictions: [Prediction]) {
        let start = ContinuousClock.now
        try state.refuseWhenStopping()
        let models = models.current
        let inPath = try context.modelInPath.map { name throws(RequestError) in try models.model(name) }
        // The body of a request that cannot be taken, by whatever model, is not even looked at.
        let possible = inPath.map { [$0] } ?? models.served
        if let queue = possible.first?.queue, possible.allSatisfy(\.queue.isFull) {
            throw RequestError.queueFull(waiting: queue.depth, asked: nil, limit: queue.limits.texts)
        }
        let bytes = try await collect(request)
        let prepare: @Sendable () throws -> Prepared<RequestBody> = {
            let start = ContinuousClock.now
            let body = try parse(bytes)
            let model = try Self.model(body.model, inPath: inPath, models)
            context.facts.values.withLock { $0.model = model.identity }
            let queue = model.queue
            var reserved = body.texts.count
            try queue.reserve(reserved)
            do {
                let inputs = try body.texts.indices.map { try input($0, body, model.classifier) }
                // A long text is as many as it has windows.
                let encodings = inputs.flatMap(\.encodings)
                try queue.reserve(encodings.count - reserved)
                reserved = encodings.count
                return Prepared(
                    body: body, model: model, inputs: inputs, encodings: encodings,
                    traits: model.drift == nil ? nil : traits(body, inputs, model.classifier),
                    duration: ContinuousClock.now - start)
            } catch {
                queue.release(reserved)
                throw error
            }
        }
        let prepared = try bytes.count <= Self.inlineBytes ? prepare() : await workers.run(prepare)
        context.facts.values.withLock { facts in
            facts.texts = prepared.encodings.count
            facts.tokens = prepared.encodings.reduce(0) { $0 + $1.ids.count }
            facts.timing.tokenize = prepared.duration
        }
        let client = InferenceQueue.Client(
            deadline: start + limits.requestTimeout, hasLeft: { !context.channel.isActive }, isAborted: { state.isAborted })
        let model = prepared.model
        let answer = try await model.queue.predict(prepared.encodings, for: client)
        context.facts.values.withLock { facts in
            (facts.timing.queue, facts.timing.infer) = (answer.queued, answer.inferred)
        }
        model.metrics.record(answer, tokenized: prepared.duration)
        var first = 0
        let predictions = prepared.inputs.map { input in
            defer { first += input.encodings.count }
            return model.classifier.prediction(input, answer.predictions[first..<first + input.encodings.count])
        }
        if let traits = prepared.traits { model.drift?.record(predictions, traits) }
        model.memory?.record(predictions, of: context.facts.values.withLock { $0.identifier })
        return (prepared.body, model, predictions)
    }

    private static func model(
        _ named: String?, inPath: ServedModel?, _ models: ModelRegistry.Models
    ) throws(RequestError) -> ServedModel {
        guard let inPath else { return try models.model(named) }
        if let named, try models.model(named) !== inPath {
            throw .invalid(
                "field \"model\" is \"\(named)\", but the path is \"\(inPath.names.name)\"'s; leave the field out")
        }
        return inPath
    }

    private struct Prepared<RequestBody: Body>: Sendable {
        let body: RequestBody
        let model: ServedModel
        let inputs: [Classifier.TextInput]
        let encodings: [Encoding]
        /// For drift.
        let traits: [TextTraits]?
        let duration: Duration
    }

    /// The body, within the limits.
    func collect(_ request: Request) async throws -> [UInt8] {
        if let encoding = request.headers[.contentEncoding], encoding.lowercased() != "identity" {
            throw RequestError(
                .unsupportedMediaType, "unsupported_media_type",
                "Content-Encoding \(encoding) is not supported; send the body as it is")
        }
        let tooLarge = RequestError(
            .contentTooLarge, "body_too_large", "the body is larger than the limit of \(limits.bodyBytes) bytes")
        // A length beyond every number is too large as well; a chunked body may have any.
        let length = request.headers[.contentLength].map { Int($0) ?? .max }
        if let length, length > limits.bodyBytes { throw tooLarge }
        let expected = length ?? limits.bodyBytes
        if expected > Self.inlineBytes {
            guard state.reserve(bodyBytes: expected, of: Self.largeBodies * limits.bodyBytes) else {
                throw RequestError.busy("too many large bodies are being received")
            }
        }
        defer { if expected > Self.inlineBytes { state.release(bodyBytes: expected) } }
        do {
            let buffer = try await request.body.collect(upTo: limits.bodyBytes)
            return Array(buffer.readableBytesView)
        } catch is NIOTooManyBytesError {
            throw tooLarge
        } catch let error as UnreadableBody {
            throw error.reason
        } catch {
            throw RequestError(.badRequest, "incomplete_body", "the body ended before its length")
        }
    }

    private func traits(
        _ body: some Body, _ inputs: [Classifier.TextInput], _ classifier: Classifier
    ) -> [TextTraits] {
        body.texts.indices.map { index in
            let pair = body.pairs.indices.contains(index) ? body.pairs[index] : nil
            return classifier.traits(of: body.texts[index], pair: pair, inputs[index])
        }
    }

    private func input(
        _ index: Int, _ body: some Body, _ classifier: Classifier
    ) throws(RequestError) -> Classifier.TextInput {
        let pair = body.pairs.indices.contains(index) ? body.pairs[index] : nil
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
