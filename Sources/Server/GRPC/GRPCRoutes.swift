import Engine
import Foundation
import Hummingbird
import SwiftProtobuf

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

    private func call<Asked: Message, Answer: Message>(
        _ answer: @escaping @Sendable (Asked) throws -> Answer
    ) -> RouteTable.Handler {
        { request, _ in
            try GRPC.check(request)
            return try GRPC.response(answer(GRPC.message(try await prediction.collect(request))))
        }
    }

    private var isReady: Bool { (try? inference.refuseWhenNotReady()) != nil }

    private func live(_: GRPCServerLiveRequest) -> GRPCServerLiveResponse { .with { $0.live = true } }

    private func ready(_: GRPCServerReadyRequest) -> GRPCServerReadyResponse { .with { $0.ready = isReady } }

    private func health(_ asked: GRPCHealthCheckRequest) throws(RequestError) -> GRPCHealthCheckResponse {
        guard ["", Self.service].contains(asked.service) else {
            throw RequestError(
                .notFound, "not_found", "there is no service \"\(asked.service)\"; this server has \"\(Self.service)\"")
        }
        return .with { $0.status = isReady ? .serving : .notServing }
    }

    private func modelReady(_ asked: GRPCModelReadyRequest) throws -> GRPCModelReadyResponse {
        _ = try inference.model(asked.name, version: asked.version)
        return .with { $0.ready = !inference.state.isStopping }
    }

    private func metadata(_: GRPCServerMetadataRequest) -> GRPCServerMetadataResponse {
        .with {
            $0.name = "apus"
            $0.version = apusVersion
        }
    }

    private func modelMetadata(_ asked: GRPCModelMetadataRequest) throws -> GRPCModelMetadataResponse {
        let model = try inference.model(asked.name, version: asked.version)
        let (inputs, outputs) = InferenceProtocolRoutes.tensors(of: model)
        func metadata(_ tensor: InferenceProtocolRoutes.Tensor) -> GRPCModelMetadataResponse.TensorMetadata {
            .with {
                $0.name = tensor.name
                $0.datatype = tensor.datatype
                $0.shape = tensor.shape.map(Int64.init)
            }
        }
        return .with {
            $0.name = model.names.name
            $0.versions = [InferenceProtocolRoutes.version]
            $0.platform = "apus"
            $0.inputs = inputs.map(metadata)
            $0.outputs = outputs.map(metadata)
        }
    }

    private func infer(_ request: Request, _ context: ApusRequestContext) async throws -> Response {
        try GRPC.check(request)
        let (timeout, limits) = (try GRPC.timeout(request), prediction.limits)
        let (body, model, predictions) = try await prediction.predict(request, context, timeout: timeout) { bytes in
            try InferRequest(GRPC.message(bytes), limits: limits)
        }
        let tensors = body.outputs.map { (InferTensor($0.output, predictions), $0.isBinary) }
        return try GRPC.response(
            GRPCModelInferResponse.with {
                $0.modelName = model.names.name
                $0.modelVersion = InferenceProtocolRoutes.version
                $0.id = body.identifier ?? ""
                $0.outputs = tensors.map { .init($0, hasContents: !$1) }
                $0.rawOutputContents = tensors.compactMap { $1 ? Data($0.bytes) : nil }
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
    init(_ message: GRPCModelInferRequest, limits: ServerLimits) throws(RequestError) {
        try InferenceProtocolRoutes.check(version: message.modelVersion)
        let inputs = message.inputs.map { input in
            [
                "name": .string(input.name), "datatype": .string(input.datatype),
                "shape": .array(input.shape.map { .integer(Int($0)) }),
            ] as JSONValue
        }
        let (_, count) = try Self.input(.array(inputs), limits: limits)
        let isRaw = !message.rawInputContents.isEmpty
        let contents = message.inputs[0].contents.bytesContents
        if isRaw {
            guard message.rawInputContents.count == 1, contents.isEmpty else {
                throw .invalid("field \"raw_input_contents\" must have one element, and the input no contents beside it")
            }
            texts = try Self.texts(Array(message.rawInputContents[0])[...])
            place = "raw_input_contents[0]"
        } else {
            var texts: [String] = []
            for content in contents {
                guard let text = String(validating: content, as: UTF8.self) else {
                    throw .invalid("field \"inputs[0].contents.bytes_contents[\(texts.count)]\" is not UTF-8")
                }
                texts.append(text)
            }
            self.texts = texts
            place = "inputs[0].contents.bytes_contents"
        }
        guard texts.count == count else {
            throw .invalid("field \"\(place)\" has \(texts.count) texts; its shape says \(count)")
        }
        let asked = message.outputs.map { ["name": .string($0.name)] as JSONValue }
        outputs = try Self.outputs(["outputs": .array(asked)]).map { ($0.output, isRaw) }
        identifier = message.id.isEmpty ? nil : message.id
        model = message.modelName.isEmpty ? nil : message.modelName
    }
}

extension GRPCModelInferResponse.InferOutputTensor {
    fileprivate init(_ tensor: InferTensor, hasContents: Bool) {
        name = tensor.name
        datatype = tensor.datatype
        shape = tensor.shape.map(Int64.init)
        guard hasContents else { return }
        switch tensor.values {
        case .strings(let strings): contents.bytesContents = strings.map { Data($0.utf8) }
        case .floats(let floats): contents.fp32Contents = floats
        }
    }
}
