/// BERTweet's own normalization (`normalization: true`), as Transformers' tokenization_bertweet.py has it: NLTK's tokenizer
/// of tweets, then @USER, HTTPURL, emoji by name, contractions apart.
struct TweetNormalizer: Normalizer {
    func normalize(_ text: inout StagedText) {
        var bytes = text.bytes
        for (from, to) in Self.punctuation { bytes = Self.replace(from, to, in: bytes) }
        bytes = Self.shortened(Self.withoutEntities(bytes))
        var words: [UInt8] = []
        bytes.withUnsafeBufferPointer { text in
            Self.wordPattern.forEachMatch(in: text) { match in
                if !words.isEmpty { words.append(UInt8(ascii: " ")) }
                words += Self.normalized(Array(text[match]))
            }
        }
        for (from, to) in Self.contractions { words = Self.replace(from, to, in: words) }
        text.rewrite { _, output in
            words.withUnsafeBufferPointer { words in
                let walk = ScalarWalk(bytes: words)
                var position = 0
                var isBetween = false
                while let (scalar, next) = walk.scalar(at: position) {
                    if UnicodeClass.isPythonSpace(scalar) {
                        isBetween = !output.isEmpty
                    } else {
                        if isBetween { output.append(UInt8(ascii: " ")) }
                        isBetween = false
                        output.append(contentsOf: words[position..<next])
                    }
                    position = next
                }
            }
        }
    }

    private static let punctuation = [("’", "'"), ("…", "...")].map { (Array($0.utf8), Array($1.utf8)) }

    private static let contractions = [
        ("cannot ", "can not "), ("n't ", " n't "), ("n 't ", " n't "), ("ca n't", "can't"), ("ai n't", "ain't"),
        ("'m ", " 'm "), ("'re ", " 're "), ("'s ", " 's "), ("'ll ", " 'll "), ("'d ", " 'd "), ("'ve ", " 've "),
        (" p . m .", "  p.m."), (" p . m ", " p.m "), (" a . m .", " a.m."), (" a . m ", " a.m "),
    ].map { (Array($0.utf8), Array($1.utf8)) }

    private static func replace(_ from: [UInt8], _ to: [UInt8], in text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        text.withUnsafeBufferPointer { text in
            var end = 0
            TextPattern.literal(from).forEachMatch(in: text, 0..<text.count) { match in
                result += text[end..<match.lowerBound]
                result += to
                end = match.upperBound
            }
            result += text[end...]
        }
        return result
    }

    private static func normalized(_ word: [UInt8]) -> [UInt8] {
        if word.first == UInt8(ascii: "@") { return Array("@USER".utf8) }
        let start = word.prefix(4).map { 0x41...0x5A ~= $0 ? $0 | 0x20 : $0 }
        if start.elementsEqual("http".utf8) || start.prefix(3).elementsEqual("www".utf8) { return Array("HTTPURL".utf8) }
        let name = word.withUnsafeBufferPointer { word in
            ScalarWalk(bytes: word).scalar(at: 0).flatMap { $0.next == word.count ? emoji[$0.value] : nil }
        }
        return name ?? word
    }

    /// A character other than an ASCII letter or digit stands three times at most in a row.
    private static func shortened(_ text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        text.withUnsafeBufferPointer { text in
            let walk = ScalarWalk(bytes: text)
            var position = 0
            var (previous, count): (UInt32?, Int) = (nil, 0)
            while let (scalar, next) = walk.scalar(at: position) {
                count = scalar == previous ? count + 1 : 1
                previous = scalar
                let isAlphanumeric = 0x61...0x7A ~= scalar | 0x20 || 0x30...0x39 ~= scalar
                if count <= 3 || isAlphanumeric { result += text[position..<next] }
                position = next
            }
        }
        return result
    }

    // MARK: - Entities

    /// `&amp;`, `&#38;`, `&#x26;` as the characters that they stand for; those that stand for none go.
    private static func withoutEntities(_ text: [UInt8]) -> [UInt8] {
        guard text.contains(UInt8(ascii: "&")) else { return text }
        var result: [UInt8] = []
        text.withUnsafeBufferPointer { text in
            let walk = ScalarWalk(bytes: text)
            var position = 0
            while position < text.count {
                var end = position + 1
                if text[position] == UInt8(ascii: "&") {
                    while let (scalar, next) = walk.scalar(at: end), scalar != 0x26, scalar != 0x3B,
                        !UnicodeClass.isWhitespace(scalar)
                    {
                        end = next
                    }
                    if end > position + 1, end < text.count, text[end] == UInt8(ascii: ";") {
                        if let scalar = entity(text[(position + 1)..<end]) { result.append(scalar: scalar) }
                        position = end + 1
                        continue
                    }
                }
                result.append(text[position])
                position += 1
            }
        }
        return result
    }

    private static func entity(_ body: Slice<UnsafeBufferPointer<UInt8>>) -> UInt32? {
        var digits = body
        let hasMark = digits.count > 1 && digits.first == UInt8(ascii: "#")
        if hasMark { digits = digits.dropFirst() }
        let isHexadecimal = digits.count > 1 && digits.first == UInt8(ascii: "x")
        if isHexadecimal { digits = digits.dropFirst() }
        guard hasMark || isHexadecimal else { return entities[String(decoding: body, as: UTF8.self)] }
        guard let number = pythonInteger(String(decoding: digits, as: UTF8.self), radix: isHexadecimal ? 16 : 10) else {
            return nil
        }
        if 0x80...0x9F ~= number { return windows1252[number - 0x80] }
        guard 0...0x10FFFF ~= number else { return nil }
        return 0xD800...0xDFFF ~= number ? 0xFFFD : UInt32(number)
    }

    /// What Python's int() reads: a sign, 0x, _ between digits, digits of any script.
    private static func pythonInteger(_ text: String, radix: Int) -> Int? {
        var scalars = Array(text.unicodeScalars)
        let isNegative = scalars.first == "-"
        if isNegative || scalars.first == "+" { scalars.removeFirst() }
        if radix == 16, scalars.count > 2, scalars[0] == "0", scalars[1] == "x" || scalars[1] == "X" {
            scalars.removeFirst(scalars.dropFirst(2).first == "_" ? 3 : 2)
        }
        var value = 0
        var isDigit = false
        for scalar in scalars {
            if scalar == "_", isDigit {
                isDigit = false
                continue
            }
            let decimal = scalar.properties.numericType == .decimal ? scalar.properties.numericValue.map { Int($0) } : nil
            guard let digit = decimal ?? (scalar.isASCII ? Character(scalar).hexDigitValue : nil), digit < radix else {
                return nil
            }
            value = min(value * radix + digit, 1 << 40)
            isDigit = true
        }
        return isDigit ? (isNegative ? -value : value) : nil
    }

    private static let windows1252: [UInt32?] = [
        0x20AC, nil, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, nil, 0x017D,
        nil,
        nil, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, nil, 0x017E,
        0x0178,
    ]

    private static let entities: [String: UInt32] = Dictionary(
        table(TweetTables.entities).map { ($0.name.text, $0.scalar) }, uniquingKeysWith: { first, _ in first })
    private static let emoji: [UInt32: [UInt8]] = Dictionary(
        table(TweetTables.emoji).map { ($0.scalar, $0.name) }, uniquingKeysWith: { first, _ in first })

    private static func table(_ text: StaticString) -> [(scalar: UInt32, name: [UInt8])] {
        text.withUTF8Buffer { text in
            text.split(separator: UInt8(ascii: " ")).compactMap { entry in
                guard let equals = entry.firstIndex(of: UInt8(ascii: "=")) else { return nil }
                let scalar = UInt32(String(decoding: entry[..<equals], as: UTF8.self), radix: 16)
                return scalar.map { ($0, Array(entry[(equals + 1)...])) }
            }
        }
    }

    // MARK: - Words

    /// NLTK's: URLs, phone numbers, emoticons, HTML tags, arrows, users, hashtags, addresses, words, the rest.
    private static let wordPattern = Regex(
        trusted: [
            #"""
            (?:https?:(?:/{1,3}|[a-z0-9%])|[a-z0-9.\-]+[.](?:[a-z]{2,13})/)
            (?:[^\s()<>{}\[\]]+|\([^\s()]*?\([^\s()]+\)[^\s()]*?\)|\([^\s]+?\))+
            (?:\([^\s()]*?\([^\s()]+\)[^\s()]*?\)|\([^\s]+?\)|[^\s`!()\[\]{};:'".,<>?«»“”‘’])
            |(?:(?<!@)[a-z0-9]+(?:[.\-][a-z0-9]+)*[.](?:[a-z]{2,13})\b/?(?!@))
            """#,
            #"(?:(?:\+?[01][ *\-.\)]*)?(?:[\(]?\d{3}[ *\-.\)]*)?\d{3}[ *\-.\)]*\d{4})"#,
            #"""
            (?:[<>]?[:;=8][\-o\*\']?[\)\]\(\[dDpP/\:\}\{@\|\\]
            |[\)\]\(\[dDpP/\:\}\{@\|\\][\-o\*\']?[:;=8][<>]?|<3)
            """#,
            #"<[^>\s]+>"#, #"[\-]+>|<[\-]+"#, #"(?:@[\w_]+)"#, #"(?:#+[\w_]+[\w\'_\-]*[\w_]+)"#,
            #"[\w.+-]+@[\w-]+\.(?:[\w-]\.?)+[\w-]"#,
            #"""
            (?:[^\W\d_](?:[^\W\d_]|['\-_])+[^\W\d_])
            |(?:[+\-]?\d+[,/.:-]\d+[+\-]?)|(?:[\w_]+)|(?:\.(?:\s*\.){1,})|(?:\S)
            """#,
        ].joined(separator: "|"), ignoresCase: true, dialect: .python)
}
