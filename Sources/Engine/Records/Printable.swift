extension StringProtocol {
    /// On one line, without what would change a terminal or end a table's row: names in messages come from files and from
    /// the network.
    package var printable: String {
        var result = ""
        for scalar in unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator:
                result.append("\\u{\(String(scalar.value, radix: 16))}")
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// As it is, or its beginning and its end where it is longer than `limit` Unicode scalars.
    package func shortened(to limit: Int) -> String {
        guard utf8.count > limit, unicodeScalars.count > limit else { return String(self) }
        var result = String.UnicodeScalarView(unicodeScalars.prefix(limit / 2))
        result.append(contentsOf: " … ".unicodeScalars)
        result.append(contentsOf: unicodeScalars.suffix(limit / 2))
        return String(result)
    }
}
