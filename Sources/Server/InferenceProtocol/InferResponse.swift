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
        for (output, isBinary) in request.outputs { add(InferTensor(output, predictions), isBinary) }
    }

    private mutating func add(_ tensor: InferTensor, _ isBinary: Bool) {
        var members: [JSONValue.Member] = [
            .init("name", .string(tensor.name)), .init("datatype", .string(tensor.datatype)),
            .init("shape", .array(tensor.shape.map(JSONValue.integer))),
        ]
        if isBinary {
            let bytes = tensor.bytes
            members.append(.init("parameters", ["binary_data_size": .integer(bytes.count)]))
            binary += bytes
            hasBinary = true
        } else {
            members.append(.init("data", .array(tensor.values.json)))
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

/// An output with its values.
struct InferTensor {
    enum Values {
        case strings([String])
        case floats([Float])

        fileprivate var json: [JSONValue] {
            switch self {
            case .strings(let strings): strings.map(JSONValue.string)
            case .floats(let floats): floats.map(JSONValue.float)
            }
        }
    }

    let name: String
    let shape: [Int]
    let values: Values

    init(_ output: InferRequest.Output, _ predictions: [Prediction]) {
        name = output.rawValue
        switch output {
        case .label:
            shape = [predictions.count]
            values = .strings(predictions.map(\.best.label))
        case .score:
            shape = [predictions.count]
            values = .floats(predictions.map(\.best.value))
        case .scores:
            let scores = predictions.flatMap { $0.scores.map(\.value) }
            shape = [predictions.count, scores.count / predictions.count]
            values = .floats(scores)
        }
    }

    var datatype: String {
        switch values {
        case .strings: "BYTES"
        case .floats: "FP32"
        }
    }

    /// The protocol's binary form: numbers little-endian, before each string its length in four bytes.
    var bytes: [UInt8] {
        switch values {
        case .strings(let strings): strings.flatMap { UInt32($0.utf8.count).littleEndianBytes + Array($0.utf8) }
        case .floats(let floats): floats.flatMap { $0.bitPattern.littleEndianBytes }
        }
    }
}
