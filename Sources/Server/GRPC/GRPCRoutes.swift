import Engine
import Hummingbird

/// The Open Inference Protocol and the health service by gRPC: the same as under `/v2`, and the same queue.
struct GRPCRoutes: Sendable {
    private static let service = "inference.GRPCInferenceService"

    let inference: InferenceProtocolRoutes
    private var prediction: TextPrediction { inference.prediction }

    /// What supervisors call.
    var supervision: [RouteTable.Route] {
        [
            method("ServerLive", access: .always, isQuiet: true, call(live)),
            method("ServerReady", access: .always, isQuiet: true, call(ready)),
            .init(call: "/grpc.health.v1.Health/Check", access: .always, isQuiet: true, call(health)),
        ]
    }

    var others: [RouteTable.Route] {
        [
            method("ModelReady", isQuiet: true, call(modelReady)),
            method("ServerMetadata", call(metadata)),
            method("ModelMetadata", call(modelMetadata)),
            method("ModelInfer", infer),
        ]
    }

    private func method(
        _ name: String, access: RouteTable.Access = .key, isQuiet: Bool = false, _ handler: @escaping RouteTable.Handler
    ) -> RouteTable.Route {
        .init(call: "/\(Self.service)/\(name)", access: access, isQuiet: isQuiet, handler)
    }

    private func call(_ answer: @escaping @Sendable (GRPCNames) throws -> ProtobufWriter) -> RouteTable.Handler {
        { request, _ in
            try GRPC.check(request)
            return GRPC.response(try answer(GRPCNames(GRPC.message(try await prediction.collect(request).unpacked()))))
        }
    }

    private var isReady: Bool { (try? inference.refuseWhenNotReady()) != nil }

    private func live(_: GRPCNames) -> ProtobufWriter { .init { $0.write(1, true) } }

    private func ready(_: GRPCNames) -> ProtobufWriter { .init { $0.write(1, isReady) } }

    /// Serving is 1, not serving 2.
    private func health(_ service: GRPCNames) throws(RequestError) -> ProtobufWriter {
        guard ["", Self.service].contains(service.name) else {
            throw RequestError(
                .notFound, "not_found", "there is no service \"\(service.name)\"; this server has \"\(Self.service)\"")
        }
        return .init { $0.write(1, number: isReady ? 1 : 2) }
    }

    private func modelReady(_ asked: GRPCNames) throws -> ProtobufWriter {
        _ = try inference.model(asked.name, version: asked.version)
        return .init { $0.write(1, !inference.state.isStopping) }
    }

    private func metadata(_: GRPCNames) -> ProtobufWriter {
        .init {
            $0.write(1, "apus")
            $0.write(2, apusVersion)
        }
    }

    private func modelMetadata(_ asked: GRPCNames) throws -> ProtobufWriter {
        let model = try inference.model(asked.name, version: asked.version)
        let (inputs, outputs) = InferenceProtocolRoutes.tensors(of: model)
        return .init { message in
            message.write(1, model.names.name)
            message.write(2, InferenceProtocolRoutes.version)
            message.write(3, "apus")
            for tensor in inputs { message.write(4, tensor: tensor) }
            for tensor in outputs { message.write(5, tensor: tensor) }
        }
    }

    private func infer(_ request: Request, _ context: ApusRequestContext) async throws -> Response {
        try GRPC.check(request)
        let (timeout, limits) = (try GRPC.timeout(request), prediction.limits)
        let (body, model, predictions) = try await prediction.predict(request, context, timeout: timeout) { bytes in
            try InferRequest(GRPCInferRequest(GRPC.message(bytes)), limits: limits)
        }
        return GRPC.response(
            .init { message in
                message.write(1, model.names.name)
                message.write(2, InferenceProtocolRoutes.version)
                message.write(3, body.identifier ?? "")
                let tensors = body.outputs.map { (InferTensor($0.output, predictions), $0.isBinary) }
                for (tensor, isRaw) in tensors {
                    let head = (tensor.name, tensor.datatype, tensor.shape)
                    message.write(5, tensor: head, isRaw ? nil : tensor.values)
                }
                for (tensor, isRaw) in tensors where isRaw { message.write(6, tensor.bytes) }
            })
    }
}

extension RouteTable.Route {
    /// A method of a gRPC service.
    fileprivate init(
        call path: String, access: RouteTable.Access, isQuiet: Bool, _ handler: @escaping RouteTable.Handler
    ) {
        pattern = path
        self.isQuiet = isQuiet
        handlers = [(.post, access, handler)]
    }
}

extension InferRequest {
    /// A call of `ModelInfer`. Whoever sends raw bytes gets raw bytes.
    init(_ message: GRPCInferRequest, limits: ServerLimits) throws(RequestError) {
        try InferenceProtocolRoutes.check(version: message.modelVersion)
        let inputs = message.inputs.map { input in
            [
                "name": .string(input.name), "datatype": .string(input.datatype),
                "shape": .array(input.shape.map(JSONValue.integer)),
            ] as JSONValue
        }
        let (_, count) = try Self.input(.array(inputs), limits: limits)
        let contents = message.inputs[0].contents
        let isRaw = !message.rawContents.isEmpty
        if isRaw {
            guard message.rawContents.count == 1, contents.isEmpty else {
                throw .invalid("field \"raw_input_contents\" must have one element, and the input no contents beside it")
            }
            place = "raw_input_contents[0]"
            texts = try Self.texts(message.rawContents[0])
        } else {
            place = "inputs[0].contents.bytes_contents"
            if let index = contents.firstIndex(where: { !$0.isValidUTF8 }) {
                throw .invalid("field \"\(place)[\(index)]\" is not UTF-8")
            }
            texts = contents.map { String(decoding: $0, as: UTF8.self) }
        }
        guard texts.count == count else {
            throw .invalid("field \"\(place)\" has \(texts.count) texts; its shape says \(count)")
        }
        let asked = message.outputs.map { ["name": .string($0)] as JSONValue }
        outputs = try Self.outputs(["outputs": .array(asked)]).map { ($0.output, isRaw) }
        identifier = message.identifier.isEmpty ? nil : message.identifier
        model = message.modelName.isEmpty ? nil : message.modelName
    }
}
