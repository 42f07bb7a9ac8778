import ArgumentParser
import Engine

/// Labelled texts to measure models on.
struct DatasetOptions: ParsableArguments {
    @Option(help: "A directory in TweetEval's form, or a file with text and label: .jsonl, .json, .csv or .tsv.")
    var dataset: String

    @Option(help: "Which split of a directory.")
    var split = "test"

    @Option(help: "The field or column of a file that holds the text.")
    var textField = "text"

    @Option(help: "The field or column of a file that holds a second text, for models that judge pairs.")
    var pairField = "text_pair"

    @Option(help: "The field or column of a file that holds the label.")
    var labelField = "label"

    @Option(
        help:
            "A file's format (default: by its name): \(RecordFormat.allCases.dropFirst().map(\.rawValue).joined(separator: ", "))."
    )
    var inputFormat: RecordFormat?

    @Option(
        help: "Maps the data's labels to the model's: name=label,…, or a file of such pairs (JSON, or separated by tabs).")
    var labelMap: String?

    func validate() throws {
        if textField == labelField { throw ValidationError("--text-field and --label-field are both \(textField).") }
    }

    /// What `classifier` is to be measured on.
    /// - Parameters:
    ///   - split: another one than the option's.
    ///   - sliceField: the field by which figures are told apart.
    func dataset(
        for classifier: Classifier, split: String? = nil, sliceField: String? = nil
    ) throws(InputError) -> Dataset {
        try Dataset(
            path: dataset, split: split ?? self.split, kind: classifier.kind, names: try names(of: classifier),
            format: inputFormat, textField: textField, pairField: pairField, labelField: labelField, sliceField: sliceField)
    }

    func names(of classifier: Classifier) throws(InputError) -> LabelNames {
        try LabelNames(classifier.labels, map: labelMap)
    }
}

extension DatasetOptions {
    /// The options that a process of the same command gets.
    var arguments: [String] {
        [
            "--dataset", dataset, "--split", split, "--text-field", textField, "--pair-field", pairField, "--label-field",
            labelField,
        ]
            + (inputFormat.map { ["--input-format", $0.rawValue] } ?? []) + (labelMap.map { ["--label-map", $0] } ?? [])
    }
}

extension Dataset {
    /// Says which of its texts it was that a model could not take.
    func locate(_ error: TextError) -> InputError { InputError("\(name), text \(error.index + 1)", error.problem) }
}
