/// How a model's tokenizer files are read: the class of Transformers that reads them there.
enum TokenizerFamily: Sendable {
    case bert, mpnet, roberta, xlmRoberta, camembert, albert, debertaV2, bertweet, phobert
    /// Whatever a tokenizer.json says: TokenizersBackend, once PreTrainedTokenizerFast.
    case generic

    /// Classes by name, without the ending Fast, which means the same since Transformers 5.
    private static let classes: KeyValuePairs<String, TokenizerFamily> = [
        "BertTokenizer": .bert, "DistilBertTokenizer": .bert, "ElectraTokenizer": .bert, "MPNetTokenizer": .mpnet,
        "RobertaTokenizer": .roberta, "XLMRobertaTokenizer": .xlmRoberta, "CamembertTokenizer": .camembert,
        "AlbertTokenizer": .albert, "DebertaV2Tokenizer": .debertaV2, "BertweetTokenizer": .bertweet,
        "PhobertTokenizer": .phobert, "PreTrainedTokenizer": .generic, "TokenizersBackend": .generic,
    ]

    /// - Parameter name: `tokenizer_class`.
    init(named name: String, file: String) throws(InputError) {
        let plain = name.hasSuffix("Fast") ? String(name.dropLast(4)) : name
        // The tokenizers that Python code makes up are known by a name without Fast.
        guard name != "PreTrainedTokenizer", let found = Self.classes.first(where: { $0.key == plain }) else {
            let known = Self.classes.map { $0.key == "PreTrainedTokenizer" ? "PreTrainedTokenizerFast" : $0.key }
            throw InputError(
                file, "tokenizer_class \(name) is not supported; supported are \(known.joined(separator: ", "))")
        }
        self = found.value
    }

    /// The files that hold its vocabulary where there is no tokenizer.json.
    var files: [String] {
        switch self {
        case .bert, .mpnet: ["vocab.txt"]
        case .roberta: ["vocab.json", "merges.txt"]
        case .xlmRoberta, .camembert: ["sentencepiece.bpe.model"]
        case .albert: ["spiece.model"]
        case .debertaV2: ["spm.model"]
        case .bertweet, .phobert: ["vocab.txt", "bpe.codes"]
        case .generic: []
        }
    }

    /// What a setting is that no file gives.
    var defaultTokens: KeyValuePairs<String, String> {
        switch self {
        case .bert:
            [
                "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]",
                "mask_token": "[MASK]",
            ]
        case .mpnet:
            [
                "bos_token": "<s>", "eos_token": "</s>", "unk_token": "[UNK]", "sep_token": "</s>", "pad_token": "<pad>",
                "cls_token": "<s>", "mask_token": "<mask>",
            ]
        case .roberta, .xlmRoberta, .camembert, .bertweet, .phobert:
            [
                "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>", "pad_token": "<pad>",
                "cls_token": "<s>", "mask_token": "<mask>",
            ]
        case .albert:
            [
                "bos_token": "[CLS]", "eos_token": "[SEP]", "unk_token": "<unk>", "sep_token": "[SEP]",
                "pad_token": "<pad>", "cls_token": "[CLS]", "mask_token": "[MASK]",
            ]
        case .debertaV2:
            [
                "bos_token": "[CLS]", "eos_token": "[SEP]", "unk_token": "[UNK]", "sep_token": "[SEP]",
                "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]",
            ]
        case .generic: [:]
        }
    }

    /// Whether a mask token that a file gives as a plain string takes the white space before it.
    var stripsBeforeMask: Bool { self == .mpnet || self == .camembert }
}

extension ModelConfig.Architecture {
    /// Which tokenizer a model has whose files do not name one.
    var tokenizerFamily: TokenizerFamily {
        switch self {
        case .bert, .distilBert, .electra: .bert
        case .roberta: .roberta
        case .xlmRoberta: .xlmRoberta
        case .camembert: .camembert
        case .mpnet: .mpnet
        case .modernBert: .generic
        case .debertaV2: .debertaV2
        case .albert: .albert
        }
    }
}
