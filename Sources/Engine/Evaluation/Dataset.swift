import Foundation

/// Labelled texts: a directory in TweetEval's form (`mapping.txt`, `SPLIT_text.txt`, `SPLIT_labels.txt`), or a file of JSON, CSV
/// or TSV records with `text` and `label`.
public struct Dataset: Sendable {
    public let name: String
    public let split: String
    public let texts: [String]
    /// Each text's label, as an index into the model's labels.
    public let labels: [Int]

    /// - Parameters:
    ///   - names: what the model can say, by the data set's names; one with another label is refused.
    ///   - format: a file's; nil for what its suffix says.
    ///   - textField, labelField: the fields or columns of a file.
    public init(
        path: String, split: String, names: LabelNames, format: RecordFormat? = nil, textField: String = "text",
        labelField: String = "label"
    ) throws(InputError) {
        name = path
        self.split = split
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw InputError(
                path,
                "this data set does not exist. Give a directory with mapping.txt, \(split)_text.txt and "
                    + "\(split)_labels.txt, or a file with text and label (.jsonl, .json, .csv, .tsv)")
        }
        var texts: [String] = []
        var labels: [Int] = []
        if isDirectory.boolValue {
            texts = try Self.lines("\(path)/\(split)_text.txt").map(\.text)
            var mapping: [String: String] = [:]
            for record in try Self.lines("\(path)/mapping.txt") {
                let parts = record.text.split(separator: "\t").map(String.init)
                guard parts.count == 2 else {
                    throw InputError("\(path)/mapping.txt, line \(record.line)", "is not a number, a tab and a label")
                }
                mapping[parts[0]] = parts[1]
            }
            let file = "\(path)/\(split)_labels.txt"
            for record in try Self.lines(file) {
                guard let label = mapping[record.text] else {
                    throw InputError("\(file), line \(record.line)", "\"\(record.text)\" is not in mapping.txt")
                }
                labels.append(try names.index(label, "\(path)/mapping.txt"))
            }
            guard texts.count == labels.count else {
                throw InputError(path, "\(split)_text.txt has \(texts.count) lines, \(split)_labels.txt has \(labels.count)")
            }
        } else {
            let format = if let format { format } else { try RecordFormat(ofFile: path) }
            guard format != .text else {
                throw InputError(
                    path,
                    "has no labels, as a file of plain texts; a data set is a directory in TweetEval's form, or a file with "
                        + "text and label (.jsonl, .json, .csv, .tsv, or --input-format)")
            }
            var reader = try RecordReader(path: path, format: format, textField: textField)
            while let record = try reader.next() {
                let place = "\(path), line \(record.line)"
                let value = record.fields.last { $0.name == labelField }?.value
                if let columns = reader.columns, value == nil {
                    throw InputError(
                        path,
                        "has no column \"\(labelField)\"; its columns are \(columns.joined(separator: ", ")). "
                            + "Name the right one by --label-field")
                }
                guard let label = Self.string(value) else {
                    throw InputError(
                        place,
                        "has neither a string nor a number in field \"\(labelField)\"; --label-field names the labels' field"
                    )
                }
                texts.append(record.text)
                labels.append(try names.index(label, place))
            }
        }
        guard !texts.isEmpty else { throw InputError(path, "has no examples in split \"\(split)\"") }
        self.texts = texts
        self.labels = labels
    }

    private static func lines(_ path: String) throws(InputError) -> [Record] {
        var reader = try RecordReader(path: path, format: .text)
        var records: [Record] = []
        while let record = try reader.next() { records.append(record) }
        return records
    }

    /// A label as it stands: a name, or a number.
    private static func string(_ value: JSONValue?) -> String? {
        guard case .raw(let bytes)? = value else { return value?.string }
        guard let parsed = try? JSONValue(parsing: bytes) else { return nil }
        return parsed.string ?? parsed.integer.map(String.init)
    }
}
