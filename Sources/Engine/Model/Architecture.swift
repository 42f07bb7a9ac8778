/// The architectures: a row each. A new one is a file of `Architectures/` and a case here.
extension ModelConfig {
    package enum Architecture: String, CaseIterable, Sendable {
        case roberta = "RobertaForSequenceClassification"
        case bert = "BertForSequenceClassification"
        case distilBert = "DistilBertForSequenceClassification"
        case xlmRoberta = "XLMRobertaForSequenceClassification"
        case camembert = "CamembertForSequenceClassification"
        case electra = "ElectraForSequenceClassification"
        case mpnet = "MPNetForSequenceClassification"
        case modernBert = "ModernBertForSequenceClassification"
        case debertaV2 = "DebertaV2ForSequenceClassification"
        case albert = "AlbertForSequenceClassification"

        package var model: any SequenceClassifier.Type {
            switch self {
            case .roberta, .xlmRoberta, .camembert: RobertaForSequenceClassification.self
            case .bert: BertForSequenceClassification.self
            case .distilBert: DistilBertForSequenceClassification.self
            case .electra: ElectraForSequenceClassification.self
            case .mpnet: MPNetForSequenceClassification.self
            case .modernBert: ModernBertForSequenceClassification.self
            case .debertaV2: DebertaV2ForSequenceClassification.self
            case .albert: AlbertForSequenceClassification.self
            }
        }

        /// Whether its first tokens can be taken relative to that of an empty text (`ModelConfig.hasInt8Reference`).
        var hasInt8Reference: Bool { self != .modernBert }

        /// config.json's `model_type`.
        var modelType: String {
            switch self {
            case .roberta: "roberta"
            case .bert: "bert"
            case .distilBert: "distilbert"
            case .xlmRoberta: "xlm-roberta"
            case .camembert: "camembert"
            case .electra: "electra"
            case .mpnet: "mpnet"
            case .modernBert: "modernbert"
            case .debertaV2: "deberta-v2"
            case .albert: "albert"
            }
        }

        /// What its class names begin with, whatever head they have: `Bert` of `BertForMaskedLM`.
        private var stem: Substring { rawValue.dropLast("ForSequenceClassification".count) }

        /// As Transformers' AutoModelForSequenceClassification: `model_type` decides, whatever head `architectures` names. A
        /// configuration without it is of the class that `architectures` names.
        init(_ json: JSONValue) throws(InputError) {
            let classes = json["architectures"]?.array?.compactMap(\.string) ?? []
            let type = json["model_type"]?.string
            let found =
                if let type { Self.allCases.first { $0.modelType == type } } else {
                    classes.lazy.compactMap { name in
                        Self.allCases.first { name == $0.stem + "Model" || name.hasPrefix($0.stem + "For") }
                    }.first
                }
            if let found {
                self = found
                return
            }
            let known = Self.allCases.map(\.stem).joined(separator: ", ") + ", each ForSequenceClassification"
            let named = [
                classes.isEmpty ? nil : "architecture \(classes.joined(separator: ", "))", type.map { "model_type \($0)" },
            ].compactMap(\.self).joined(separator: ", ")
            throw InputError(
                "config.json",
                named.isEmpty
                    ? "has neither \"model_type\" nor \"architectures\"; supported are \(known)"
                    : "\(named) is not supported; supported are \(known)")
        }
    }
}
