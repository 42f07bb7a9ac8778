import DequeModule
import NIOCore

/// Who has one of a server's places for connections, and who gives theirs up for a new one. A value without a socket or a clock.
///
/// While all places are taken, a new connection gets that of the one whose client has kept it waiting longest beyond its
/// grace. Where no client has, the new one is an extra: it is there for one request, and the first to go for the next extra.
package struct ConnectionPlaces<Occupant: Sendable> {
    /// What a connection waits for.
    package enum Wait: Int, CaseIterable, Sendable {
        case request
        /// The rest of a request, or an answer's being taken.
        case transfer

        /// How long a client may take to do it and is sure of its place. One that asks at once, and again at once, keeps it;
        /// one that sends or reads slowly does not keep it for ever.
        package var grace: TimeAmount {
            switch self {
            case .request: .milliseconds(100)
            case .transfer: .seconds(1)
            }
        }
    }

    package struct Entry: Sendable {
        package let id: Int
        package let isExtra: Bool
        /// Who is to leave for it.
        package let displaced: Occupant?
    }

    private struct Place {
        let occupant: Occupant
        let isExtra: Bool
        /// Its number in a queue; nil where nobody waits for its client.
        var turn: Int?
    }

    private struct Turn {
        let id: Int
        let number: Int
        /// The end of the grace.
        let due: NIODeadline
    }

    private let limit: Int
    private let extraLimit: Int
    private var places: [Int: Place] = [:]
    private var extras = 0
    /// A queue for each wait, and the extras' one: each in the order of its turns' ends. A turn that is over stays until it is
    /// met.
    private var queues = Array(repeating: Deque<Turn>(), count: Wait.allCases.count + 1)
    private static var extraQueue: Int { Wait.allCases.count }
    private var next = 0

    package init(limit: Int, extras: Int) {
        self.limit = limit
        extraLimit = extras
    }

    /// A new connection, which waits for a request.
    package mutating func enter(_ occupant: Occupant, at now: NIODeadline) -> Entry {
        var displaced: Occupant?
        var isExtra = false
        if places.count - extras >= limit {
            displaced = removeLongest(of: 0..<Self.extraQueue, at: now)
            isExtra = displaced == nil
            if isExtra, extras >= extraLimit {
                displaced = removeLongest(of: Self.extraQueue..<Self.extraQueue + 1, at: now)
            }
        }
        if isExtra { extras += 1 }
        next += 1
        let id = next
        places[id] = Place(occupant: occupant, isExtra: isExtra)
        wait(id, for: .request, at: now)
        return Entry(id: id, isExtra: isExtra, displaced: displaced)
    }

    /// What the connection waits for from now on; nil for nothing that its client could do.
    package mutating func wait(_ id: Int, for wait: Wait?, at now: NIODeadline) {
        guard let place = places[id] else { return }
        next += 1
        places[id]?.turn = wait == nil ? nil : next
        guard let wait else { return }
        let queue = place.isExtra ? Self.extraQueue : wait.rawValue
        queues[queue].append(Turn(id: id, number: next, due: place.isExtra ? now : now + wait.grace))
        // So that there are never many more turns than places.
        if queues[queue].count > 2 * places.count + 64 {
            let places = places
            queues[queue].removeAll { places[$0.id]?.turn != $0.number }
        }
    }

    /// The connection is closed; it may have been displaced before.
    package mutating func leave(_ id: Int) {
        if let place = places.removeValue(forKey: id), place.isExtra { extras -= 1 }
    }

    private mutating func removeLongest(of candidates: Range<Int>, at now: NIODeadline) -> Occupant? {
        var longest: Turn?
        for queue in candidates {
            while let turn = queues[queue].first, places[turn.id]?.turn != turn.number { queues[queue].removeFirst() }
            if let turn = queues[queue].first, turn.due <= now, longest.map({ turn.due < $0.due }) ?? true { longest = turn }
        }
        guard let longest, let occupant = places[longest.id]?.occupant else { return nil }
        leave(longest.id)
        return occupant
    }
}
