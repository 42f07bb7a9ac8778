/// What drift is seen by in a text, beside what the model says of it. Nothing of it is the text.
package struct TextTraits: Sendable {
    /// More of a text's tokens are not counted.
    static let maximumTokens = 512

    package let script: Script
    /// How many there are.
    package let emoji: Int
    /// Which share of its tokens the vocabulary does not have, 0 to 1; nil for a tokenizer that has one for everything, such as
    /// one of bytes.
    package let unknown: Double?
    /// The different ones, ascending.
    package let tokens: [Int]

    init(_ texts: [String], _ encodings: [Encoding], unknownID: Int?, namedTokens: Int) {
        var letters = Array(repeating: 0, count: Script.allCases.count)
        var emoji = 0
        for text in texts {
            for scalar in text.unicodeScalars {
                if let script = Script.of(scalar.value) {
                    letters[script.rawValue] += 1
                } else if Script.isEmoji(scalar.value) {
                    emoji += 1
                }
            }
        }
        self.emoji = emoji
        script = Self.script(of: letters)
        let ids = encodings.flatMap(\.ids)
        unknown = unknownID.map { unknown in Double(ids.count { $0 == unknown }) / Double(max(1, ids.count)) }
        var tokens: [Int] = []
        for id in ids.prefix(Self.maximumTokens).sorted() where id < namedTokens && id != tokens.last { tokens.append(id) }
        self.tokens = tokens
    }

    /// - Parameter letters: of each script.
    private static func script(of letters: [Int]) -> Script {
        var letters = letters
        // Japanese is written in both.
        if letters[Script.kana.rawValue] > 0 {
            letters[Script.kana.rawValue] += letters[Script.han.rawValue]
            letters[Script.han.rawValue] = 0
        }
        let total = letters.reduce(0, +)
        guard total > 0 else { return .none }
        return Script.allCases.first { 5 * letters[$0.rawValue] >= 4 * total } ?? .mixed
    }
}

extension Classifier {
    /// - Parameters:
    ///   - pair: the second text, where there is one.
    ///   - input: what was made of them.
    package func traits(of text: String, pair: String? = nil, _ input: TextInput) -> TextTraits {
        TextTraits(
            [text, pair].compactMap(\.self), input.encodings, unknownID: model.unknownID, namedTokens: model.namedTokens)
    }
}
