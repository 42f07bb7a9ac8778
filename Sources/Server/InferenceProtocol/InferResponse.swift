import Engine
import Hummingbird

/// The answer to an `InferRequest`: its outputs as JSON, or behind the JSON as binary data.
struct InferResponse {
    private var outputs: [JSONValue] = []
    private var binary: [UInt8] = []
    private var hasBinary = false
    private let head: [JSONValue.Member]

    init(_ request: InferRequest, _ predictions: [Prediction], modelName: String, version: String) {
        head =
            [.init("model_name", .string(modelName)), .init("model_version", .string(version))]
            + (request.identifier.map { [.init("id", .string($0))] } ?? [])
        for (output, isBinary) in request.outputs {
            switch output {
            case .label:
                let labels = predictions.map(\.best.label)
                add(output, "BYTES", [labels.count], isBinary, labels.map(JSONValue.string)) {
                    labels.flatMap { UInt32($0.utf8.count).littleEndianBytes + Array($0.utf8) }
                }
            case .score: addFloats(output, [predictions.count], isBinary, predictions.map(\.best.value))
            case .scores:
                let scores = predictions.flatMap { $0.scores.map(\.value) }
                addFloats(output, [predictions.count, scores.count / predictions.count], isBinary, scores)
            }
        }
    }

    private mutating func addFloats(_ output: InferRequest.Output, _ shape: [Int], _ isBinary: Bool, _ values: [Float]) {
        add(output, "FP32", shape, isBinary, values.map(JSONValue.float)) {
            values.flatMap { $0.bitPattern.littleEndianBytes }
        }
    }

    private mutating func add(
        _ output: InferRequest.Output, _ type: String, _ shape: [Int], _ isBinary: Bool,
        _ data: @autoclosure () -> [JSONValue],
        bytes: () -> [UInt8]
    ) {
        var members: [JSONValue.Member] = [
            .init("name", .string(output.rawValue)), .init("datatype", .string(type)),
            .init("shape", .array(shape.map(JSONValue.integer))),
        ]
        if isBinary {
            let bytes = bytes()
            members.append(.init("parameters", ["binary_data_size": .integer(bytes.count)]))
            binary += bytes
            hasBinary = true
        } else {
            members.append(.init("data", .array(data())))
        }
        outputs.append(.object(members))
    }

    var response: Response {
        let json = JSONValue.object(head + [.init("outputs", .array(outputs))])
        guard hasBinary else { return .json(json) }
        let text = json.serialized()
        return Response(
            status: .ok,
            headers: [.contentType: "application/octet-stream", .inferenceHeaderContentLength: "\(text.count)"],
            body: .init(byteBuffer: ByteBuffer(bytes: text + binary)))
    }
}
