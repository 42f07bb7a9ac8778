import ArgumentParser
import Engine

/// Labelled texts to measure models on.
struct DatasetOptions: ParsableArguments {
    @Option(help: "A directory in TweetEval's form, or a .jsonl or .csv file with text and label.")
    var dataset: String

    @Option(help: "Which split of a directory.")
    var split = "test"

    @Option(help: "The field or column of a file that holds the text.")
    var textField = "text"

    @Option(help: "The field or column of a file that holds the label.")
    var labelField = "label"

    func validate() throws {
        if textField == labelField { throw ValidationError("--text-field and --label-field are both \(textField).") }
    }

    /// - Parameter labels: what the model can say.
    func dataset(labels: [String]) throws(InputError) -> Dataset {
        try Dataset(path: dataset, split: split, modelLabels: labels, textField: textField, labelField: labelField)
    }
}

extension Dataset {
    /// Says which of its texts it was that a model could not take.
    func locate(_ error: TextError) -> InputError { InputError("\(name), text \(error.index + 1)", error.problem) }
}
