/// Reads the regular expressions that tokenizers use, in the syntax of Oniguruma (Ruby), into instructions of `Regex`:
/// literals, escapes, classes, groups, alternatives, greedy, lazy and possessive quantifiers, lookahead, lookbehind of one
/// scalar, `(?i:…)` of ASCII. Anything else is a problem that it names.
struct RegexParser {
    struct Problem: Error { let what: String }

    private let source: [Unicode.Scalar]
    private var position = 0
    private var ignoresCase = false
    private var depth = 0

    enum Dialect: Sendable {
        case oniguruma
        /// Python's package regex with VERBOSE: white space in the source means nothing; its own word characters.
        case python
    }

    private let dialect: Dialect

    init(_ source: String, ignoresCase: Bool = false, dialect: Dialect = .oniguruma) {
        self.source = Array(source.unicodeScalars)
        self.ignoresCase = ignoresCase
        self.dialect = dialect
    }

    mutating func parse() throws(Problem) -> [Regex.Instruction] {
        let program = try alternatives()
        if position < source.count { throw Problem(what: "a ) without its (") }
        return program + [.match]
    }

    private var next: Unicode.Scalar? { position < source.count ? source[position] : nil }

    private mutating func take(_ text: String) -> Bool {
        guard source[position...].starts(with: text.unicodeScalars) else { return false }
        position += text.unicodeScalars.count
        return true
    }

    private mutating func skipBlank() {
        guard dialect == .python else { return }
        while let scalar = next, scalar.properties.isWhitespace { position += 1 }
    }

    private mutating func alternatives() throws(Problem) -> [Regex.Instruction] {
        depth += 1
        defer { depth -= 1 }
        if depth > 64 { throw Problem(what: "groups nested deeper than 64 levels") }
        let outerCase = ignoresCase
        defer { ignoresCase = outerCase }
        var branches = [try sequence()]
        while take("|") { branches.append(try sequence()) }
        var program = branches.removeLast()
        for branch in branches.reversed() {
            program = [.split(1, branch.count + 2)] + branch + [.jump(program.count + 1)] + program
        }
        return program
    }

    private mutating func sequence() throws(Problem) -> [Regex.Instruction] {
        var program: [Regex.Instruction] = []
        while true {
            skipBlank()
            guard let scalar = next, scalar != "|", scalar != ")" else { return program }
            let piece = try atom()
            program += try quantified(piece)
            if program.count > 20_000 { throw Problem(what: "more than 20,000 steps") }
        }
    }

    private mutating func quantified(_ atom: [Regex.Instruction]) throws(Problem) -> [Regex.Instruction] {
        var piece = atom
        skipBlank()
        while let scalar = next, "?*+{".unicodeScalars.contains(scalar) {
            var (low, high): (Int, Int?) = (0, nil)
            position += 1
            switch scalar {
            case "?": high = 1
            case "*": break
            case "+": low = 1
            default:
                guard let bounds = repetition() else { throw Problem(what: "{ that is not a repetition") }
                (low, high) = bounds
            }
            let isLazy = take("?")
            let isPossessive = !isLazy && scalar != "{" && take("+")
            piece = Self.repeated(piece, low, high, isLazy: isLazy)
            if piece.count > 20_000 { throw Problem(what: "more than 20,000 steps") }
            if isPossessive { piece = [.atomic(piece.count + 1)] + piece + [.match] }
            skipBlank()
        }
        return piece
    }

    private mutating func repetition() -> (Int, Int?)? {
        guard let end = source[position...].firstIndex(of: "}") else { return nil }
        var text = ""
        text.unicodeScalars.append(contentsOf: source[position..<end])
        position = end + 1
        let bounds = text.split(separator: ",", omittingEmptySubsequences: false)
        guard let low = bounds.first.flatMap({ $0.isEmpty ? 0 : Int($0) }), 0...1000 ~= low else { return nil }
        if bounds.count == 1, !text.isEmpty { return (low, low) }
        guard bounds.count == 2, text != "," else { return nil }
        if bounds[1].isEmpty { return (low, nil) }
        guard let high = Int(bounds[1]), low...1000 ~= high else { return nil }
        return (low, high)
    }

    private static func repeated(
        _ piece: [Regex.Instruction], _ low: Int, _ high: Int?, isLazy: Bool
    ) -> [Regex.Instruction] {
        func split(_ body: Int, _ exit: Int) -> Regex.Instruction { isLazy ? .split(exit, body) : .split(body, exit) }
        var program = Array(repeatElement(piece, count: low).joined())
        if let high {
            for _ in low..<high { program += [split(1, piece.count + 1)] + piece }
            // An optional piece that fails must not try the later ones, yet each exit leads on: x?x? is as good, since
            // all are the same piece.
        } else if case .set(let set)? = piece.first, piece.count == 1, !isLazy {
            program.append(.run(set))
        } else {
            program += [split(1, piece.count + 3), .enter] + piece + [.loop(-(piece.count + 2))]
        }
        return program
    }

    private mutating func atom() throws(Problem) -> [Regex.Instruction] {
        guard let scalar = next else { throw Problem(what: "an end where something should stand") }
        position += 1
        switch scalar {
        case "(": return try group()
        case "[": return [.set(try characterClass())]
        case "\\": return try escape()
        case ".":
            var set = ScalarSet()
            set.insert(0x0A...0x0A)
            set.isNegated = true
            set.complete()
            return [.set(set)]
        case "^", "$", "*", "+", "?", "{": throw Problem(what: "\(scalar)")
        default: return [.set(try literal(scalar))]
        }
    }

    private func literal(_ scalar: Unicode.Scalar) throws(Problem) -> ScalarSet {
        var set = ScalarSet()
        set.insert(scalar.value...scalar.value)
        return try finished(set)
    }

    private func finished(_ set: ScalarSet) throws(Problem) -> ScalarSet {
        var set = set
        if ignoresCase {
            if set.hasCaseBeyondASCII { throw Problem(what: "(?i) with letters beyond ASCII") }
            set.ignoreCase()
        }
        set.complete()
        return set
    }

    private mutating func group() throws(Problem) -> [Regex.Instruction] {
        let outerCase = ignoresCase
        defer { ignoresCase = outerCase }
        var wrap: (([Regex.Instruction]) -> [Regex.Instruction])?
        if take("?:") {
        } else if take("?i:") {
            ignoresCase = true
        } else if take("?>") {
            wrap = { [.atomic($0.count + 1)] + $0 + [.match] }
        } else if take("?=") {
            wrap = { [.look($0.count + 1, isNegated: false)] + $0 + [.match] }
        } else if take("?!") {
            wrap = { [.look($0.count + 1, isNegated: true)] + $0 + [.match] }
        } else if take("?<!") || take("?<=") {
            let isNegated = source[position - 1] == "!"
            let inner = try alternatives()
            guard case .set(let set)? = inner.first, inner.count == 1, take(")") else {
                throw Problem(what: "a lookbehind of more than one character")
            }
            return [.behind(set, isNegated: isNegated)]
        } else if next == "?" {
            throw Problem(what: "a group (?…)")
        }
        let inner = try alternatives()
        guard take(")") else { throw Problem(what: "a ( without its )") }
        return wrap?(inner) ?? inner
    }

    /// `\s` and its like, as a class; nil for an escape that stands for one scalar.
    private mutating func classEscape(_ scalar: Unicode.Scalar) throws(Problem) -> (ScalarSet.Class, isNegated: Bool)? {
        switch scalar {
        case "s", "S": return (.space, scalar == "S")
        case "d", "D": return (dialect == .python ? .tweetDigit : .digit, scalar == "D")
        case "w", "W": return (dialect == .python ? .tweetWord : .word, scalar == "W")
        case "p", "P":
            var isNegated = scalar == "P"
            guard take("{"), let end = source[position...].firstIndex(of: "}") else { throw Problem(what: "\\\(scalar)") }
            var name = ""
            name.unicodeScalars.append(contentsOf: source[position..<end])
            position = end + 1
            if name.hasPrefix("^") {
                isNegated.toggle()
                name.removeFirst()
            }
            switch name {
            case "L": return (.letter, isNegated)
            case "N": return (.number, isNegated)
            case "M": return (.mark, isNegated)
            case "P": return (.punctuation, isNegated)
            default: throw Problem(what: "\\p{\(name)}")
            }
        default: return nil
        }
    }

    private func escapedScalar(_ scalar: Unicode.Scalar) throws(Problem) -> Unicode.Scalar {
        switch scalar {
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "f": return "\u{0C}"
        case "v": return "\u{0B}"
        default:
            guard !(scalar.properties.isAlphabetic || "0"..."9" ~= scalar) else { throw Problem(what: "\\\(scalar)") }
            return scalar
        }
    }

    private mutating func escape() throws(Problem) -> [Regex.Instruction] {
        guard let scalar = next else { throw Problem(what: "a \\ at the end") }
        position += 1
        switch scalar {
        case "A": return [.textStart]
        case "z": return [.textEnd]
        case "b":
            var word = ScalarSet()
            word.insert(dialect == .python ? .tweetWord : .word, isNegated: false)
            word.complete()
            return [.wordBoundary(word)]
        default: break
        }
        if let (kind, isNegated) = try classEscape(scalar) {
            var set = ScalarSet()
            set.insert(kind, isNegated: isNegated)
            set.complete()
            return [.set(set)]
        }
        return [.set(try literal(try escapedScalar(scalar)))]
    }

    private mutating func characterClass() throws(Problem) -> ScalarSet {
        var set = ScalarSet()
        set.isNegated = take("^")
        var isFirst = true
        while let scalar = next, scalar != "]" || isFirst {
            isFirst = false
            position += 1
            if scalar == "[" || scalar == "&" && next == "&" { throw Problem(what: "a class within a class") }
            var low = scalar
            if scalar == "\\" {
                guard let escaped = next else { throw Problem(what: "a \\ at the end") }
                position += 1
                if let (kind, isNegated) = try classEscape(escaped) {
                    set.insert(kind, isNegated: isNegated)
                    continue
                }
                low = try escapedScalar(escaped)
            }
            guard next == "-", position + 1 < source.count, source[position + 1] != "]" else {
                set.insert(low.value...low.value)
                continue
            }
            position += 1
            var high = source[position]
            position += 1
            if high == "\\" {
                guard let escaped = next else { throw Problem(what: "a \\ at the end") }
                position += 1
                high = try escapedScalar(escaped)
            }
            guard low <= high else { throw Problem(what: "a range \(low)-\(high)") }
            set.insert(low.value...high.value)
        }
        guard take("]") else { throw Problem(what: "a [ without its ]") }
        return try finished(set)
    }
}
