import Engine
import Hummingbird

/// A body of `POST /v2/models/{model}/infer`: the Open Inference Protocol's, JSON alone or with its binary tensor extension
/// (https://github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md).
struct InferRequest: TextPrediction.Body {
    enum Output: String, Sendable, CaseIterable {
        /// The most probable label, BYTES [n].
        case label
        /// Its probability, FP32 [n].
        case score
        /// All labels' probabilities in the model's order, FP32 [n, labels].
        case scores
    }

    let identifier: String?
    let texts: [String]
    /// What is answered, in order, and whether as binary data.
    let outputs: [(output: Output, isBinary: Bool)]
    let pairs: [String?] = []
    /// The one in the body, as gRPC has it.
    let model: String?
    var longTexts: LongTexts? { nil }
    var truncationSide: TruncationSide? { nil }
    /// Where the texts stand in the request.
    let place: String

    func field(_ index: Int) -> String { "\(place)[\(index)]" }

    /// - Parameter headerLength: of the JSON before the binary data; nil where all is JSON.
    init(body: [UInt8], headerLength: Int?, limits: ServerLimits) throws(RequestError) {
        let length = headerLength ?? body.count
        guard 0...body.count ~= length else {
            throw RequestError(
                .badRequest, "malformed_json",
                "Inference-Header-Content-Length is \(length), but the body has \(body.count) bytes")
        }
        let json = try JSONValue(body: Array(body[..<length]), needs: "\"inputs\"")
        switch json["id"] {
        case nil, .null?: identifier = nil
        case .string(let text)?: identifier = text
        case let other?: throw .invalid("field \"id\" is \(other.kind); it must be a string")
        }
        texts = try Self.texts(json["inputs"], body[length...], limits: limits)
        outputs = try Self.outputs(json)
        model = nil
        place = "inputs[0].data"
    }

    private static func texts(
        _ inputs: JSONValue?, _ binary: ArraySlice<UInt8>, limits: ServerLimits
    ) throws(RequestError) -> [String] {
        let (input, count) = try input(inputs, limits: limits)
        let texts: [String]
        if let size = try parameter("binary_data_size", of: input, "inputs[0].") {
            guard size.integer == binary.count else {
                throw .invalid(
                    "field \"inputs[0].parameters.binary_data_size\" is \(found(size)); \(binary.count) bytes follow the JSON"
                )
            }
            texts = try self.texts(binary)
        } else {
            guard binary.isEmpty else {
                throw .invalid(
                    "\(binary.count) bytes follow the JSON, but \"inputs[0].parameters.binary_data_size\" is missing")
            }
            texts = try self.texts(input["data"])
        }
        guard texts.count == count else {
            throw .invalid("field \"inputs[0].data\" has \(texts.count) texts; its shape says \(count)")
        }
        return texts
    }

    /// The one input, and how many texts its shape says.
    static func input(_ inputs: JSONValue?, limits: ServerLimits) throws(RequestError) -> (input: JSONValue, count: Int) {
        guard let inputs = inputs?.array else {
            throw .invalid("field \"inputs\" is not an array; give one input with the texts")
        }
        guard inputs.count == 1 else {
            throw .invalid("field \"inputs\" has \(inputs.count) inputs; give one, with the texts")
        }
        let input = inputs[0]
        // There is one input: what it is called does not matter, and clients call it "text", "input-0", "TEXT".
        guard let name = input["name"]?.string, !name.isEmpty else {
            throw .invalid("field \"inputs[0].name\" is \(found(input["name"])); it must be a name, like \"text\"")
        }
        guard input["datatype"]?.string == "BYTES" else {
            throw .invalid("field \"inputs[0].datatype\" is \(found(input["datatype"])); it must be \"BYTES\"")
        }
        let shape = input["shape"]?.array ?? []
        guard 1...2 ~= shape.count, let count = shape[0].integer, count >= 1, shape.count == 1 || shape[1].integer == 1
        else {
            throw .invalid(
                "field \"inputs[0].shape\" is \(found(input["shape"])); it must be [n] or [n, 1] with n from 1 on")
        }
        guard count <= limits.clientBatch else {
            throw RequestError(
                .contentTooLarge, "batch_too_large",
                "field \"inputs[0]\" has \(count) texts; the limit is \(limits.clientBatch)")
        }
        return (input, count)
    }

    /// A value as an error message shows it.
    private static func found(_ value: JSONValue?) -> String {
        guard let value else { return "missing" }
        let text = String(decoding: value.serialized(), as: UTF8.self)
        return text.utf8.count <= 60 ? text : value.kind
    }

    /// Strings in an array, or each in an array of its own.
    private static func texts(_ data: JSONValue?) throws(RequestError) -> [String] {
        guard let data = data?.array else { throw .invalid("field \"inputs[0].data\" is not an array of strings") }
        var texts: [String] = []
        for (index, element) in data.enumerated() {
            let value = element.array.flatMap { $0.count == 1 ? $0[0] : nil } ?? element
            guard let text = value.string else {
                throw .invalid("field \"inputs[0].data[\(index)]\" is \(value.kind); it must be a string")
            }
            texts.append(text)
        }
        return texts
    }

    /// Each text's length in four bytes, little-endian, then its UTF-8.
    static func texts(_ binary: ArraySlice<UInt8>) throws(RequestError) -> [String] {
        var texts: [String] = []
        var rest = binary
        while !rest.isEmpty {
            let header = rest.prefix(4)
            let length = Int(littleEndianBytes: header)
            let text = rest.dropFirst(4).prefix(length)
            guard header.count == 4, text.count == length else {
                throw .invalid("the binary data of \"inputs[0]\" ends within text \(texts.count)")
            }
            guard text.isValidUTF8 else {
                throw .invalid("the binary data of \"inputs[0]\" is not UTF-8 in text \(texts.count)")
            }
            texts.append(String(decoding: text, as: UTF8.self))
            rest = rest.dropFirst(4 + length)
        }
        return texts
    }

    /// A member of an object's "parameters"; nil where it or they are missing or null.
    private static func parameter(_ name: String, of json: JSONValue, _ place: String) throws(RequestError) -> JSONValue? {
        guard let parameters = json["parameters"], !parameters.isNull else { return nil }
        guard parameters.object != nil else {
            throw .invalid("field \"\(place)parameters\" is \(parameters.kind); it must be an object")
        }
        return parameters[name].flatMap { $0.isNull ? nil : $0 }
    }

    private static func flag(_ name: String, of json: JSONValue, _ place: String) throws(RequestError) -> Bool? {
        guard let value = try parameter(name, of: json, place) else { return nil }
        return try value.boolean("\(place)parameters.\(name)")
    }

    static func outputs(_ json: JSONValue) throws(RequestError) -> [(output: Output, isBinary: Bool)] {
        let allBinary = try flag("binary_data_output", of: json, "") ?? false
        switch json["outputs"] {
        case nil, .null?: return Output.allCases.map { ($0, allBinary) }
        case .array(let asked)?:
            if asked.isEmpty { return Output.allCases.map { ($0, allBinary) } }
            var outputs: [(output: Output, isBinary: Bool)] = []
            for (index, element) in asked.enumerated() {
                guard let output = element["name"]?.string.flatMap(Output.init) else {
                    throw .invalid(
                        "field \"outputs[\(index)].name\" is \(found(element["name"])); it must be one of label, score, scores"
                    )
                }
                guard !outputs.contains(where: { $0.output == output }) else {
                    throw .invalid(
                        "field \"outputs[\(index)].name\" is \(found(element["name"])), which is named twice")
                }
                outputs.append((output, try flag("binary_data", of: element, "outputs[\(index)].") ?? allBinary))
            }
            return outputs
        case let other?: throw .invalid("field \"outputs\" is \(other.kind); it must be an array")
        }
    }
}
