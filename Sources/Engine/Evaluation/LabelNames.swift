import Foundation

/// Which of a model's labels a data set means by its own.
public struct LabelNames: Sendable {
    private let labels: [String]
    private let map: [String: Int]

    /// - Parameters:
    ///   - labels: the model's.
    ///   - map: the data set's names and the model's for them, as `--label-map` has it: `name=label,name=label`, or a file with a
    ///     JSON object of them or with a name, a tab and a label a line.
    public init(_ labels: [String], map: String? = nil) throws(InputError) {
        self.labels = labels
        var indices: [String: Int] = [:]
        let entries = if let map { try Self.entries(map) } else { [(name: String, label: String)]() }
        for (name, label) in entries {
            guard let index = labels.firstIndex(of: label) else {
                throw InputError(
                    "--label-map",
                    "maps \"\(name)\" to \"\(label)\", which is not one of the model's labels: \(labels.listed)")
            }
            guard indices.updateValue(index, forKey: name) == nil else {
                throw InputError("--label-map", "maps \"\(name)\" twice")
            }
        }
        self.map = indices
    }

    /// The model's label for `name`: by the map; else the one of that name; else, of a number, the one with that number; else the
    /// one that differs in case alone.
    package func index(_ name: String, _ place: String) throws(InputError) -> Int {
        if let index = map[name] { return index }
        if let index = labels.firstIndex(of: name) { return index }
        if let number = Int(name), labels.indices.contains(number) { return number }
        let alike = labels.indices.filter { labels[$0].lowercased() == name.lowercased() }
        if alike.count == 1 { return alike[0] }
        throw InputError(
            place,
            "label \"\(name)\" is not one of the model's, which are \(labels.listed); say which one it is by --label-map "
                + "\(name)=\(labels[0])")
    }

    private static func entries(_ map: String) throws(InputError) -> [(name: String, label: String)] {
        if map.contains("=") {
            return try pairs(map.split(separator: ",").map { ($0.split(separator: "=", maxSplits: 1), "--label-map") })
        }
        let bytes = try MappedFile(path: map).contents()
        if let json = try? JSONValue(parsing: bytes) {
            guard let members = json.object, members.allSatisfy({ $0.value.string != nil }) else {
                throw InputError(map, "is not a JSON object of the data set's labels and the model's")
            }
            return members.map { ($0.name, $0.value.string!) }
        }
        var lines: [(parts: [Substring], place: String)] = []
        var reader = try RecordReader(path: map, format: .text)
        while let record = try reader.next() {
            lines.append((record.text.split(separator: "\t", maxSplits: 1), "\(map), line \(record.line)"))
        }
        return try pairs(lines)
    }

    private static func pairs(
        _ entries: [(parts: [Substring], place: String)]
    ) throws(InputError) -> [(name: String, label: String)] {
        var pairs: [(name: String, label: String)] = []
        for (parts, place) in entries {
            guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
                throw InputError(
                    place,
                    "needs name=label, with commas between, or a file with a JSON object or with a name, a tab and a label a line"
                )
            }
            pairs.append((String(parts[0]), String(parts[1])))
        }
        return pairs
    }
}
