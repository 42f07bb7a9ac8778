import Foundation

/// Labelled texts: a directory in TweetEval's form (`mapping.txt`, `SPLIT_text.txt`, `SPLIT_labels.txt`), or a `.jsonl`
/// or `.csv` file with `text` and `label`.
public struct Dataset: Sendable {
    public let name: String
    public let split: String
    public let texts: [String]
    /// Each text's label, as an index into the model's labels.
    public let labels: [Int]

    /// - Parameters:
    ///   - modelLabels: what the model can say; a data set with another label is refused.
    ///   - textField, labelField: the fields of a `.jsonl` file or columns of a `.csv` file.
    public init(
        path: String, split: String, modelLabels: [String], textField: String = "text", labelField: String = "label"
    ) throws(InputError) {
        name = path
        self.split = split
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw InputError(
                path,
                "this data set does not exist. Give a directory with mapping.txt, \(split)_text.txt and "
                    + "\(split)_labels.txt, or a .jsonl or .csv file with text and label")
        }
        func index(_ label: String, _ place: String) throws(InputError) -> Int {
            guard let index = modelLabels.firstIndex(of: label) else {
                throw InputError(
                    place, "label \"\(label)\" is not one of the model's, which are \(modelLabels.listed)")
            }
            return index
        }
        var texts: [String] = []
        var labels: [Int] = []
        if isDirectory.boolValue {
            texts = try Self.lines("\(path)/\(split)_text.txt").map(\.text)
            var names: [String: String] = [:]
            for record in try Self.lines("\(path)/mapping.txt") {
                let parts = record.text.split(separator: "\t").map(String.init)
                guard parts.count == 2 else {
                    throw InputError("\(path)/mapping.txt, line \(record.line)", "is not a number, a tab and a label")
                }
                names[parts[0]] = parts[1]
            }
            let file = "\(path)/\(split)_labels.txt"
            for record in try Self.lines(file) {
                guard let label = names[record.text] else {
                    throw InputError("\(file), line \(record.line)", "\"\(record.text)\" is not in mapping.txt")
                }
                labels.append(try index(label, "\(path)/mapping.txt"))
            }
            guard texts.count == labels.count else {
                throw InputError(path, "\(split)_text.txt has \(texts.count) lines, \(split)_labels.txt has \(labels.count)")
            }
        } else {
            guard let format = RecordFormat(rawValue: (path as NSString).pathExtension), format != .text else {
                throw InputError(path, "a data set is a directory in TweetEval's form, a .jsonl or a .csv file")
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
                        "has no string in field \"\(labelField)\"; labels are \(modelLabels.listed), "
                            + "and --label-field names their field")
                }
                texts.append(record.text)
                labels.append(try index(label, place))
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

    private static func string(_ value: JSONValue?) -> String? {
        if case .raw(let bytes)? = value { return (try? JSONValue(parsing: bytes))?.string }
        return value?.string
    }
}
