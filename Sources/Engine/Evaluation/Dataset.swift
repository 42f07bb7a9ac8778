import Foundation

/// Labelled texts: a directory in TweetEval's form (`mapping.txt`, `SPLIT_text.txt`, `SPLIT_labels.txt`), or a file of JSON, CSV
/// or TSV records with `text` and `label`.
public struct Dataset: Sendable {
    public let name: String
    public let split: String
    public let texts: [String]
    /// The second text of each, where they are pairs.
    public let pairs: [String?]
    public let truth: Truth
    /// What each text's field is by which figures are told apart; nil where none was asked for.
    public let slices: Slices?

    public struct Slices: Sendable, Equatable {
        public let field: String
        /// One a text; `(none)` where a record has not the field.
        public let values: [String]
    }

    /// More different values than these are no slices but texts' own numbers.
    private static let maximumSlices = 200

    /// What is true of the texts, one each, in order; labels as indices into the model's.
    public enum Truth: Sendable, Equatable {
        case labels([Int])
        /// Of each text as many as there are, each once.
        case sets([[Int]])
        case numbers([Double])
    }

    /// Each text's label, where there is one a text.
    public var labels: [Int] {
        guard case .labels(let labels) = truth else { return [] }
        return labels
    }

    /// - Parameters:
    ///   - kind: what the model's scores say, and so what the labels are.
    ///   - names: what the model can say, by the data set's names; one with another label is refused.
    ///   - format: a file's; nil for what its suffix says.
    ///   - textField, pairField, labelField: the fields or columns of a file; there may be none of a second text.
    ///   - sliceField: the field or column by which figures are told apart; of a file alone.
    public init(
        path: String, split: String, kind: Prediction.Kind = .oneLabel, names: LabelNames, format: RecordFormat? = nil,
        textField: String = "text", pairField: String = "text_pair", labelField: String = "label",
        sliceField: String? = nil
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
        var pairs: [String?] = []
        var labels = TruthReader(kind, names)
        var slices: [String?] = []
        if isDirectory.boolValue {
            guard sliceField == nil else {
                throw InputError(path, "has no fields for --slice-field; give a file of JSON, CSV or TSV records")
            }
            texts = try Self.lines("\(path)/\(split)_text.txt").map(\.text)
            pairs = texts.map { _ in nil }
            var mapping: [String: String] = [:]
            for record in kind == .numbers ? [] : try Self.lines("\(path)/mapping.txt") {
                let parts = record.text.split(separator: "\t").map(String.init)
                guard parts.count == 2 else {
                    throw InputError("\(path)/mapping.txt, line \(record.line)", "is not a number, a tab and a label")
                }
                mapping[parts[0]] = parts[1]
            }
            let file = "\(path)/\(split)_labels.txt"
            for record in try Self.lines(file) {
                let place = "\(file), line \(record.line)"
                if kind == .numbers {
                    guard try labels.add(.string(record.text), place) else { throw InputError(place, "is not a number") }
                    continue
                }
                var names: [JSONValue] = []
                for number in kind == .labels ? TruthReader.parts(record.text) : [record.text] {
                    guard let name = mapping[number] else { throw InputError(place, "\"\(number)\" is not in mapping.txt") }
                    names.append(.string(name))
                }
                _ = try labels.add(kind == .labels ? .array(names) : names[0], "\(path)/mapping.txt")
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
            var reader = try RecordReader(path: path, format: format, textField: textField, pairField: pairField)
            while let record = try reader.next() {
                let place = "\(path), line \(record.line)"
                let value = record.fields.last { $0.name == labelField }?.value
                if let columns = reader.columns, value == nil {
                    throw InputError(
                        path,
                        "has no column \"\(labelField)\"; its columns are \(columns.joined(separator: ", ")). "
                            + "Name the right one by --label-field")
                }
                if let sliceField {
                    let slice = record.fields.last { $0.name == sliceField }?.value
                    if let columns = reader.columns, slice == nil {
                        throw InputError(
                            path, "has no column \"\(sliceField)\" (--slice-field); its columns are \(columns.listed)")
                    }
                    slices.append(slice.flatMap(Self.slice))
                }
                texts.append(record.text)
                pairs.append(record.pair)
                guard try labels.add(value ?? .null, place) else {
                    throw InputError(
                        place,
                        "has no \(labels.expected) in field \"\(labelField)\"; --label-field names the labels' field")
                }
            }
        }
        guard !texts.isEmpty else { throw InputError(path, "has no examples in split \"\(split)\"") }
        self.texts = texts
        self.pairs = pairs
        truth = labels.truth
        self.slices = try sliceField.map { field throws(InputError) in
            guard slices.contains(where: { $0 != nil }) else {
                throw InputError(path, "has no record with the field \"\(field)\" (--slice-field)")
            }
            let values = slices.map { $0 ?? "(none)" }
            let count = Set(values).count
            guard count <= Self.maximumSlices else {
                throw InputError(
                    path,
                    "has \(count) different values of \"\(field)\" (--slice-field); figures are told apart for "
                        + "\(Self.maximumSlices) at most")
            }
            return Slices(field: field, values: values)
        }
    }

    /// A field's value as a slice's name; nil for none.
    private static func slice(_ value: JSONValue) -> String? {
        var value = value
        if case .raw(let bytes) = value { value = (try? JSONValue(parsing: bytes)) ?? .null }
        if let text = value.string { return text.isEmpty ? nil : text }
        return value.isNull ? nil : String(decoding: value.serialized(), as: UTF8.self)
    }

    private static func lines(_ path: String) throws(InputError) -> [Record] {
        var reader = try RecordReader(path: path, format: .text)
        var records: [Record] = []
        while let record = try reader.next() { records.append(record) }
        return records
    }
}

/// Collects what is true of one text after the other.
private struct TruthReader {
    private let kind: Prediction.Kind
    private let names: LabelNames
    private var labels: [Int] = []
    private var sets: [[Int]] = []
    private var numbers: [Double] = []

    init(_ kind: Prediction.Kind, _ names: LabelNames) {
        self.kind = kind
        self.names = names
    }

    var truth: Dataset.Truth {
        switch kind {
        case .oneLabel: .labels(labels)
        case .labels: .sets(sets)
        case .numbers: .numbers(numbers)
        }
    }

    var count: Int { labels.count + sets.count + numbers.count }

    /// In words.
    var expected: String {
        switch kind {
        case .oneLabel: "label's name or number"
        case .labels: "list of labels"
        case .numbers: "number"
        }
    }

    /// What stands in a table's cell for several labels.
    static func parts(_ text: String) -> [String] {
        text.split { ",;|".contains($0) }.map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }

    /// False where the value is of another type than it must be.
    mutating func add(_ value: JSONValue, _ place: String) throws(InputError) -> Bool {
        var value = value
        if case .raw(let bytes) = value { value = (try? JSONValue(parsing: bytes)) ?? .null }
        switch kind {
        case .oneLabel:
            guard let name = Self.name(value) else { return false }
            labels.append(try names.index(name, place))
        case .labels:
            guard let set = try set(value, place) else { return false }
            sets.append(set)
        case .numbers:
            guard let number = value.double ?? value.string.flatMap(Double.init), number.isFinite else { return false }
            numbers.append(number)
        }
        return true
    }

    private func set(_ value: JSONValue, _ place: String) throws(InputError) -> [Int]? {
        var parts: [String?] = [Self.name(value)]
        if let values = value.array {
            parts = values.map(Self.name)
        } else if let text = value.string {
            // A name may hold what else stands between names.
            if let index = try? names.index(text, place) { return [index] }
            parts = Self.parts(text)
        }
        var indices: Set<Int> = []
        for part in parts {
            guard let part else { return nil }
            indices.insert(try names.index(part, place))
        }
        return indices.sorted()
    }

    /// A label as it stands: a name, or a number.
    private static func name(_ value: JSONValue) -> String? { value.string ?? value.integer.map(String.init) }
}
