/// What happens to a text before it is tokenized.
public enum TextPreparation: String, Sendable, CaseIterable {
    /// As the twitter-roberta model card does: of the words between spaces, `@somebody` becomes `@user` and `http…`
    /// becomes `http`.
    case tweet
    case none

    package init(named name: String, by subject: String) throws(InputError) {
        guard let preparation = TextPreparation(rawValue: name) else {
            throw InputError(
                subject,
                "text preparation \"\(name)\" is unknown; known are "
                    + Self.allCases.map(\.rawValue).joined(separator: " and "))
        }
        self = preparation
    }

    /// Works on bytes: to Swift's `Character` a space with an accent on it would not be a space.
    func prepare(_ text: [UInt8]) -> [UInt8] {
        guard self == .tweet else { return text }
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var start = 0
        while true {
            let end = text[start...].firstIndex(of: UInt8(ascii: " ")) ?? text.count
            let word = text[start..<end]
            if word.first == UInt8(ascii: "@"), word.count > 1 {
                result += "@user".utf8
            } else if word.starts(with: "http".utf8) {
                result += "http".utf8
            } else {
                result += word
            }
            if end == text.count { return result }
            result.append(UInt8(ascii: " "))
            start = end + 1
        }
    }
}
