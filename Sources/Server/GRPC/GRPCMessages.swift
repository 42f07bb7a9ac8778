/// What a client sends with the calls that are no `ModelInfer`: nothing, a name, or a name and a version.
struct GRPCNames {
    private(set) var name = ""
    private(set) var version = ""

    init(_ message: ArraySlice<UInt8>) throws(RequestError) {
        var reader = ProtobufReader(message)
        while let (number, value) = try reader.next() {
            switch number {
            case 1: name = try value.string()
            case 2: version = try value.string()
            default: break
            }
        }
    }
}

/// A `ModelInferRequest` of the Open Inference Protocol, as far as it is heeded: no parameters, no numbers
/// (https://github.com/kserve/open-inference-protocol, specification/protocol/open_inference_grpc.proto).
struct GRPCInferRequest {
    struct Input {
        private(set) var name = ""
        private(set) var datatype = ""
        private(set) var shape: [Int] = []
        /// `contents.bytes_contents`.
        private(set) var contents: [ArraySlice<UInt8>] = []

        init(_ message: ArraySlice<UInt8>) throws(RequestError) {
            var reader = ProtobufReader(message)
            while let (number, value) = try reader.next() {
                switch number {
                case 1: name = try value.string()
                case 2: datatype = try value.string()
                case 3: shape += try value.integers()
                case 5:
                    var reader = ProtobufReader(try value.bytes())
                    while let (number, value) = try reader.next() {
                        if number == 8 { contents.append(try value.bytes()) }
                    }
                default: break
                }
            }
        }
    }

    private(set) var modelName = ""
    private(set) var modelVersion = ""
    private(set) var identifier = ""
    private(set) var inputs: [Input] = []
    private(set) var outputs: [String] = []
    private(set) var rawContents: [ArraySlice<UInt8>] = []

    init(_ message: ArraySlice<UInt8>) throws(RequestError) {
        var reader = ProtobufReader(message)
        while let (number, value) = try reader.next() {
            switch number {
            case 1: modelName = try value.string()
            case 2: modelVersion = try value.string()
            case 3: identifier = try value.string()
            case 5: inputs.append(try Input(value.bytes()))
            case 6: outputs.append(try GRPCNames(value.bytes()).name)
            case 7: rawContents.append(try value.bytes())
            default: break
            }
        }
    }
}

extension ProtobufWriter {
    /// A tensor of a `ModelMetadataResponse`, or the head of one in a `ModelInferResponse`.
    mutating func write(_ field: UInt64, tensor: InferenceProtocolRoutes.Tensor, _ values: InferTensor.Values? = nil) {
        write(field) {
            $0.write(1, tensor.name)
            $0.write(2, tensor.datatype)
            $0.write(3, tensor.shape)
            switch values {
            case .strings(let strings)?:
                $0.write(5) { contents in
                    for string in strings { contents.write(8, Array(string.utf8)) }
                }
            case .floats(let floats)?: $0.write(5) { $0.write(6, floats) }
            case nil: break
            }
        }
    }
}
