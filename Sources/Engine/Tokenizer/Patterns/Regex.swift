/// A regular expression, matched by backtracking as Oniguruma does it, on a stack of its own: no text exhausts the thread's.
struct Regex: Sendable {
    /// Targets are relative to the instruction.
    enum Instruction: Sendable {
        case set(ScalarSet)
        /// As many as there are, then one less, and so on.
        case run(ScalarSet)
        case split(Int, Int)
        case jump(Int)
        /// Begins a round of a loop, and ends one that read something.
        case enter
        case loop(Int)
        /// What follows up to its `match`, without a way back into it.
        case atomic(Int)
        case look(Int, isNegated: Bool)
        case behind(ScalarSet, isNegated: Bool)
        case textStart
        case textEnd
        case wordBoundary(ScalarSet)
        case match
    }

    private let program: [Instruction]

    init(_ source: String, file: String) throws(InputError) {
        var parser = RegexParser(source)
        do {
            program = try parser.parse()
        } catch {
            throw InputError(file, "the regular expression \(source) is not supported: \(error.what)")
        }
    }

    /// One of this program's own.
    init(trusted source: String, ignoresCase: Bool = false, dialect: RegexParser.Dialect = .oniguruma) {
        var parser = RegexParser(source, ignoresCase: ignoresCase, dialect: dialect)
        do {
            program = try parser.parse()
        } catch {
            preconditionFailure("\(error.what) in \(source)")
        }
    }

    /// From left to right; an empty match right behind another one does not count.
    func forEachMatch(in text: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>) -> Void) {
        let walk = ScalarWalk(bytes: text)
        var matcher = Matcher(program: program, walk: walk)
        var position = 0
        var lastEnd: Int?
        while position <= text.count {
            let end = matcher.match(from: 0, at: position)
            if let end, end > position || lastEnd != end {
                body(position..<end)
                lastEnd = end
                if end > position {
                    position = end
                    continue
                }
            }
            position = walk.scalar(at: position)?.next ?? text.count + 1
        }
    }

    private struct Matcher {
        let program: [Instruction]
        let walk: ScalarWalk

        private struct State {
            let instruction: Int
            let position: Int
            /// Of a run: where it may not go back beyond; else -1.
            let least: Int
            let rounds: Int
            /// How many places had been visited before.
            let visits: Int
        }

        private var stack: [State] = []
        /// Where the current round of each loop began: a list by index, the outermost last.
        private var rounds: [(start: Int, outer: Int)] = []
        /// Where a long match has been, instruction and position: nothing is captured, so what failed once fails again, for
        /// the matches that begin later, too. Without it some patterns take exponential time, and more a quadratic one.
        private var visited: Set<UInt64> = []
        private var visits: [UInt64] = []
        /// Of each run the last stretch that it has tried all places of, and the visit that this is.
        private var tried: [Int: (stretch: ClosedRange<Int>, visit: Int)] = [:]
        private static let shortMatch = 1000

        init(program: [Instruction], walk: ScalarWalk) {
            self.program = program
            self.walk = walk
        }

        private mutating func push(_ instruction: Int, _ position: Int, least: Int = -1, _ round: Int) {
            stack.append(
                State(instruction: instruction, position: position, least: least, rounds: round, visits: visits.count))
        }

        /// Of a match that succeeds: the visits on its way did not fail.
        private mutating func forget(from start: Int, except failures: [Range<Int>]) {
            guard start < visits.count else { return }
            var forgotten: Set<Int> = []
            var index = start
            for failure in failures + [visits.count..<visits.count] {
                while index < failure.lowerBound {
                    if visits[index] != .max { visited.remove(visits[index]) } else { forgotten.insert(index) }
                    index += 1
                }
                index = max(index, failure.upperBound)
            }
            if !forgotten.isEmpty { tried = tried.filter { !forgotten.contains($0.value.visit) } }
        }

        /// Where the match of the program from `first` on ends that begins at `start`.
        mutating func match(from first: Int, at start: Int) -> Int? {
            let base = stack.count
            let firstRound = rounds.count
            defer {
                stack.removeLast(stack.count - base)
                rounds.removeLast(rounds.count - firstRound)
            }
            var instruction = first
            var position = start
            var round = -1
            var steps = 0
            // Within a lookahead that is another question.
            var outer: (Set<UInt64>, [UInt64], [Int: (stretch: ClosedRange<Int>, visit: Int)])?
            if first > 0 {
                outer = (visited, visits, tried)
                (visited, visits, tried) = ([], [], [:])
            }
            defer { if let outer { (visited, visits, tried) = outer } }
            let visitsBefore = visits.count
            // The visits of ways that were given up: they lie one behind the other.
            var failures: [Range<Int>] = []
            while true {
                var fails = false
                switch program[instruction] {
                case .match:
                    forget(from: visitsBefore, except: failures)
                    return position
                case .set(let set):
                    if let (scalar, next) = walk.scalar(at: position), set.contains(scalar) {
                        position = next
                    } else {
                        fails = true
                    }
                case .run(let set):
                    let begin = position
                    if let (stretch, _) = tried[instruction], stretch.contains(begin) {
                        fails = true
                        break
                    }
                    while let (scalar, next) = walk.scalar(at: position), set.contains(scalar) { position = next }
                    steps += position - begin
                    if position > begin {
                        push(instruction, position, least: begin, round)
                        if steps > Self.shortMatch || !visits.isEmpty {
                            tried[instruction] = (begin...position, visits.count)
                            visits.append(.max)
                        }
                    }
                case .split(let preferred, let other):
                    let place = UInt64(instruction) << 32 | UInt64(position)
                    if steps > Self.shortMatch || !visits.isEmpty {
                        if visited.insert(place).inserted {
                            visits.append(place)
                        } else {
                            fails = true
                            break
                        }
                    }
                    push(instruction + other, position, round)
                    instruction += preferred
                    steps += 1
                    continue
                case .jump(let target):
                    instruction += target
                    continue
                case .enter:
                    rounds.append((position, round))
                    round = rounds.count - 1
                case .loop(let target):
                    let (begin, outer) = rounds[round]
                    round = outer
                    if position > begin {
                        instruction += target
                        continue
                    }
                case .atomic(let length):
                    if let end = match(from: instruction + 1, at: position) {
                        position = end
                        instruction += length
                    } else {
                        fails = true
                    }
                case .look(let length, let isNegated):
                    if (match(from: instruction + 1, at: position) != nil) != isNegated {
                        instruction += length
                    } else {
                        fails = true
                    }
                case .behind(let set, let isNegated):
                    fails = (walk.scalar(before: position).map(set.contains) ?? false) == isNegated
                case .textStart: fails = position != 0
                case .textEnd: fails = position != walk.bytes.count
                case .wordBoundary(let word):
                    let before = walk.scalar(before: position).map(word.contains) ?? false
                    let after = walk.scalar(at: position).map { word.contains($0.value) } ?? false
                    fails = before == after
                }
                if !fails {
                    instruction += 1
                    continue
                }
                guard stack.count > base, let state = stack.popLast() else { return nil }
                instruction = state.instruction
                position = state.position
                round = state.rounds
                if state.visits < visits.count {
                    while let last = failures.last, last.lowerBound >= state.visits { failures.removeLast() }
                    failures.append(state.visits..<visits.count)
                }
                if state.least >= 0 {
                    // A run goes back by one scalar.
                    position -= 1
                    while position > state.least, walk.bytes[position] & 0xC0 == 0x80 { position -= 1 }
                    if position > state.least { push(instruction, position, least: state.least, round) }
                    instruction += 1
                }
            }
        }
    }
}
