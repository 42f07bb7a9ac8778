/// How a model's weights are stored, as config.json says (`quantization_config`).
package enum WeightFormat: Sendable {
    /// As training left them.
    case float
    /// Apus' first int8 format: what is I8 has F32 scales, one a row.
    case apus
    case compressedTensors(CompressedTensors)

    private static let advice = ". Use the model's unquantized weights; apus quantize makes int8 of them"

    init(_ settings: ConfigSettings) throws(InputError) {
        guard let section = try settings.section("quantization_config", advice: Self.advice) else {
            self = .float
            return
        }
        switch section.json["quant_method"]?.string {
        case "compressed-tensors": self = .compressedTensors(try CompressedTensors(section))
        case "apus" where section.json["format_version"]?.integer == 1: self = .apus
        case let method:
            throw InputError(
                "config.json",
                "quantization_config \(method ?? "without a quant_method") is not supported; supported: "
                    + "compressed-tensors, and apus with format_version 1\(Self.advice)")
        }
    }
}
