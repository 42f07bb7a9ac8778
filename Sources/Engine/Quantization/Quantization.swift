import Foundation

/// The int8 form of a model: its matrices as I8, symmetric, with one scale a row.
///
/// Every matrix W [rows, columns], embeddings included, is stored as I8 with `NAME_scale`, F32 [rows, 1], beside it, so that
/// W ≈ int8 · scale; the last projection onto the labels and all vectors stay F32: the format of compressed-tensors, which
/// Transformers opens. The same model gives the same bytes.
public struct Quantization: Sendable {
    /// The written `model.safetensors`, and the weights it was made from, in bytes.
    public let bytes: Int
    public let originalBytes: Int
    /// How many matrices became int8.
    public let matrices: Int

    /// Writes the int8 form of `model` as the directory `output`, where nothing may be yet: whole, or not at all.
    ///
    /// - Parameter calibration: texts like those to come, by which weights are rounded so that the products of such texts keep
    ///   their values, not each weight for itself; in int8, first tokens are then taken relative to that of an empty text, too.
    ///   A thousand or two will do. Without any, to the nearest.
    public init(_ model: ModelDirectory, to output: String, calibration: [Record] = []) throws(InputError) {
        try NewDirectory.requireFree(output)
        guard !model.isFastText else {
            throw InputError(
                model.name,
                "is a fastText model, which has no int8 form; the fastText library makes it smaller (fasttext "
                    + "quantize, .ftz), and Apus reads that")
        }
        let settings = try JSONFile.read(model.path + "/config.json")
        let config = try ModelConfig(settings)
        guard case .float = config.weightFormat else {
            throw InputError(
                model.name,
                "is quantized already (config.json, quantization_config); a second rounding would only lose more. "
                    + "Quantize the model it was made from")
        }
        // Refuses what could not be served afterwards: a tensor of another shape or type, a tokenizer of another model.
        let tokenizer = try TextTokenizer(model, config: config, preparation: nil)
        let checkpoint = try Checkpoint.open(directory: model.path)
        var reader = try WeightReader(
            checkpoint, config, format: .int8, on: try .select(), into: Arena(), keepsParameters: true)
        _ = try config.architecture.model.init(config, &reader)
        _ = try reader.verifyAllUsed()
        let moments = try calibration.isEmpty ? [:] : Self.moments(config, checkpoint, tokenizer, calibration)
        let moved = Self.moved(reader.movableMeans, reader.parameters, moments)
        let tensors = try Self.tensors(reader.parameters, moments, adding: moved)
        let weights = Checkpoint.safetensors(tensors)

        let addsReference =
            !calibration.isEmpty && config.architecture.hasInt8Reference && settings["int8_reference"] == nil
        let newSettings = Self.settings(
            settings, ignoring: reader.parameters, adding: addsReference ? [.init("int8_reference", "empty_text")] : [])
        try NewDirectory.write(output) { directory throws(InputError) in
            try FileReplacement.write(weights, to: directory + "/model.safetensors")
            try FileReplacement.write(newSettings.serialized(pretty: true) + [0x0A], to: directory + "/config.json")
            for name in ModelFiles.tokenizer + ModelFiles.references {
                let path = "\(model.path)/\(name)"
                guard FileManager.default.fileExists(atPath: path) else { continue }
                try FileReplacement.write(try MappedFile(path: path).contents(), to: "\(directory)/\(name)")
            }
        }
        bytes = weights.reduce(0) { $0 + $1.count }
        originalBytes = checkpoint.byteCount
        matrices = tensors.count { $0.type == .i8 }
    }

    /// config.json, which says what became of the weights.
    private static func settings(
        _ settings: JSONValue, ignoring parameters: [Parameter], adding added: [JSONValue.Member]
    ) -> JSONValue {
        // Matrices that stay F32 are of layers that the groups' targets would name.
        let ignored = parameters.filter { $0.role == .exact && $0.tensor.shape.count == 2 }
        let layers = Set(ignored.map { String($0.name.dropLast(".weight".count)) }).sorted()
        var members: [JSONValue.Member] = []
        for member in settings.object ?? [] where member.name != "quantization_config" {
            // What is not int8 is F32 now; in another type Transformers would round the scales.
            let isType = ["dtype", "torch_dtype"].contains(member.name) && !member.value.isNull
            members.append(isType ? .init(member.name, "float32") : member)
        }
        return .object(members + added + [.init("quantization_config", CompressedTensors.written(ignoring: layers))])
    }

    /// Of the inputs of every product, in f32, by the name of its weights.
    private static func moments(
        _ config: ModelConfig, _ checkpoint: Checkpoint, _ tokenizer: TextTokenizer, _ texts: [Record]
    ) throws(InputError) -> [String: SecondMoments] {
        let recorder = InputRecorder()
        let session = try InferenceSession(
            config, checkpoint, try Classifier.Options(precision: .f32, backend: .simd, threads: 1).inference(),
            recorder: recorder)
        var batch: [Encoding] = []
        var tokens = 0
        for (index, record) in texts.enumerated() {
            let encoding: Encoding
            do { encoding = try tokenizer.encode(record.text, index: index) } catch {
                throw InputError("calibration, line \(record.line)", "the text \(error.problem)")
            }
            if tokens + encoding.ids.count > session.batchTokens {
                session.run(batch) { _ in }
                (batch, tokens) = ([], 0)
            }
            batch.append(encoding)
            tokens += encoding.ids.count
        }
        session.run(batch) { _ in }
        return recorder.moments
    }

    /// What is added to which vector, so that the mean of what products take is zero: what all texts have in common then takes no
    /// part of the steps of int8.
    private static func moved(
        _ means: [MovableMean], _ parameters: [Parameter], _ moments: [String: SecondMoments]
    ) -> [String: [Float]] {
        let tensors = Dictionary(parameters.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        var moved: [String: [Float]] = [:]
        func add(_ values: [Float], to name: String) {
            moved[name] = moved[name].map { zip($0, values).map(+) } ?? values
        }
        for mean in means {
            let biases = ([mean.norm, mean.addedTo] + mean.products).map { "\($0).bias" }
            // The last layer's queries are of first tokens alone: most is known of what has most rows.
            let inputs = mean.products.compactMap { moments["\($0).weight"] }
            guard biases.allSatisfy({ tensors[$0] != nil }), inputs.count == mean.products.count,
                let center = inputs.max(by: { $0.rows < $1.rows })?.mean
            else { continue }
            var centered: Set<ObjectIdentifier> = []
            for moments in inputs where centered.insert(ObjectIdentifier(moments)).inserted { moments.center(at: center) }
            add(center.map { -$0 }, to: "\(mean.norm).bias")
            add(center, to: "\(mean.addedTo).bias")
            for product in mean.products {
                let weights = tensors["\(product).weight"]!
                let matrix = StoredMatrix(weights, rows: weights.shape[0], columns: center.count)
                add(matrix.times(center), to: "\(product).bias")
            }
        }
        return moved
    }

    private static func tensors(
        _ parameters: [Parameter], _ moments: [String: SecondMoments], adding moved: [String: [Float]]
    ) throws(InputError) -> [NewTensor] {
        var tensors: [NewTensor] = []
        var names: Set<String> = []
        // Some are read twice: ALBERT's last layer.
        for parameter in parameters where names.insert(parameter.name).inserted {
            let (name, tensor) = (parameter.name, parameter.tensor)
            let columns = tensor.shape.last ?? 1
            let rows = tensor.shape.dropLast().reduce(1, *)
            let matrix = StoredMatrix(tensor, rows: rows, columns: columns)
            func finite<Values>(_ values: Values?) throws(InputError) -> Values {
                guard let values else {
                    throw InputError(
                        tensor.file.name,
                        "tensor \"\(name)\" holds a number that is not finite: the file is damaged, or "
                            + "the training failed. Fetch it again, or train anew")
                }
                return values
            }
            switch parameter.role {
            case .matrix:
                let (values, scales) = try finite(matrix.quantized())
                let calibrated = moments[name]?.round(matrix, scales: scales)
                tensors.append(NewTensor(name, .i8, shape: tensor.shape, calibrated ?? values))
                tensors.append(NewTensor(name + "_scale", .f32, shape: [rows, 1], scales))
            case .exact:
                var values = matrix.floats()
                if let moved = moved[name] { values = zip(values, moved).map(+) }
                tensors.append(
                    NewTensor(name, .f32, shape: tensor.shape, try finite(values.allSatisfy(\.isFinite) ? values : nil)))
            }
        }
        return tensors
    }
}
