/// What `Replace` and `Split` look for: a text as it stands, or a regular expression.
enum TextPattern: Sendable {
    case literal([UInt8])
    case regex(Regex)
    /// GPT-2's own, which has a matcher by hand.
    case byteLevel

    /// `{"String": …}` or `{"Regex": …}`.
    init(_ value: JSONValue, file: String) throws(InputError) {
        if let literal = value["String"]?.string {
            self = .literal(Array(literal.utf8))
        } else if let source = value["Regex"]?.string {
            self = source == ByteLevel.pattern ? .byteLevel : .regex(try Regex(source, file: file))
        } else {
            throw InputError(file, "a pattern is neither {\"String\": …} nor {\"Regex\": …}")
        }
    }

    /// Calls `body` with each match within `range`, as though it were the whole text.
    func forEachMatch(in text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ body: (Range<Int>) -> Void) {
        switch self {
        case .literal(let literal):
            guard let first = literal.first else { return }
            var position = range.lowerBound
            while position + literal.count <= range.upperBound {
                if text[position] == first, text[position..<position + literal.count].elementsEqual(literal) {
                    body(position..<position + literal.count)
                    position += literal.count
                } else {
                    position += 1
                }
            }
        case .regex(let regex):
            regex.forEachMatch(in: UnsafeBufferPointer(rebasing: text[range])) { match in
                body(range.lowerBound + match.lowerBound..<range.lowerBound + match.upperBound)
            }
        case .byteLevel:
            var position = range.lowerBound
            while position < range.upperBound {
                let end = ByteLevel.endOfWord(text, position..<range.upperBound)
                body(position..<end)
                position = end
            }
        }
    }
}
