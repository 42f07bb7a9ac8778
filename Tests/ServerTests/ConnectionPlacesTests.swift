import NIOCore
import Server
import Testing

/// Who gets a place, and from whom: decided by a value, so no socket and no time passes here.
@Suite struct ConnectionPlacesTests {
    /// Places with their clock and the ids that connections have by their names.
    private struct Server {
        var places: ConnectionPlaces<String>
        var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
        var ids: [String: Int] = [:]

        init(limit: Int, extras: Int = 2) { places = ConnectionPlaces(limit: limit, extras: extras) }

        @discardableResult mutating func enter(_ name: String) -> ConnectionPlaces<String>.Entry {
            let entry = places.enter(name, at: now)
            ids[name] = entry.id
            return entry
        }

        mutating func wait(_ name: String, for wait: ConnectionPlaces<String>.Wait?) {
            places.wait(ids[name]!, for: wait, at: now)
        }
    }

    @Test func `within the limit nobody has to leave`() {
        var server = Server(limit: 3)
        for name in ["a", "b", "c"] {
            let entry = server.enter(name)
            #expect(!entry.isExtra && entry.displaced == nil)
        }
        server.places.leave(server.ids["b"]!)
        #expect(server.enter("d").displaced == nil)
        server.now = server.now + .milliseconds(100)
        #expect(server.enter("e").displaced == "a", "a place that was left is taken")
    }

    @Test func `the one that has been idle longest gives its place up`() {
        var server = Server(limit: 3)
        for name in ["a", "b", "c"] { server.enter(name) }
        server.wait("a", for: nil)
        server.wait("a", for: .request)
        server.now = server.now + .seconds(5)
        #expect(["d", "e", "f"].map { server.enter($0).displaced } == ["b", "c", "a"])
    }

    @Test func `a client that asks again within the grace keeps its place however many come`() {
        var server = Server(limit: 2)
        server.enter("good")
        for second in 0..<200 {
            server.wait("good", for: nil)
            server.wait("good", for: .request)
            server.now = server.now + .milliseconds(50)
            #expect(server.enter("crowd \(second)").displaced != "good")
        }
        server.now = server.now + .milliseconds(100)
        #expect(["late", "later"].map { server.enter($0).displaced }.contains("good"))
    }

    @Test func `one that sends or reads slowly keeps its place for the grace and no longer`() {
        var server = Server(limit: 2)
        for name in ["slow", "slower"] {
            server.enter(name)
            server.wait(name, for: .transfer)
        }
        server.now = server.now + .milliseconds(999)
        let early = server.enter("early")
        #expect(early.isExtra && early.displaced == nil)
        server.now = server.now + .milliseconds(1)
        #expect(server.enter("new").displaced == "slow")
    }

    @Test func `where all are at work the new ones are extras, and an extra makes room for the next`() {
        var server = Server(limit: 1, extras: 2)
        server.enter("busy")
        server.wait("busy", for: nil)
        let entries = ["a", "b", "c"].map { server.enter($0) }
        #expect(entries.allSatisfy { $0.isExtra })
        #expect(entries.map(\.displaced) == [nil, nil, "a"])
        // One that is being answered is not disturbed; one that is read or that reads is.
        server.wait("b", for: nil)
        server.wait("c", for: .transfer)
        #expect(server.enter("d").displaced == "c")
        server.wait("d", for: nil)
        #expect(server.enter("e").displaced == nil)
        // Extras have no claim to a place that becomes free.
        server.places.leave(server.ids["busy"]!)
        #expect(!server.enter("f").isExtra)
    }

    @Test func `what a displaced connection still does counts for nothing`() {
        var server = Server(limit: 1)
        server.enter("a")
        server.now = server.now + .seconds(1)
        #expect(server.enter("b").displaced == "a")
        server.wait("a", for: .request)
        server.places.leave(server.ids["a"]!)
        server.places.leave(server.ids["a"]!)
        server.now = server.now + .seconds(1)
        #expect(server.enter("c").displaced == "b", "a, which is gone, has no turn")
    }

    @Test(arguments: [1, 7, 100]) func `a hundred thousand random steps keep the limits and the order`(limit: Int) {
        var generator = SystemRandomNumberGenerator()
        var server = Server(limit: limit, extras: 3)
        var open: [String: (isExtra: Bool, idleSince: NIODeadline?)] = [:]
        for step in 0..<100_000 {
            server.now = server.now + .milliseconds(100)
            let name = open.keys.randomElement(using: &generator)
            switch Int.random(in: 0..<4, using: &generator) {
            case 0:
                let idle = open.filter { !$0.value.isExtra && $0.value.idleSince != nil }
                let isFull = open.count { !$0.value.isExtra } == limit
                let entry = server.enter("\(step)")
                if let displaced = entry.displaced { open[displaced] = nil }
                if isFull, let longest = idle.min(by: { $0.value.idleSince! < $1.value.idleSince! }) {
                    #expect(entry.displaced == longest.key)
                }
                #expect(entry.isExtra == (isFull && idle.isEmpty))
                open["\(step)"] = (entry.isExtra, server.now)
            case 1:
                guard let name else { continue }
                server.wait(name, for: nil)
                open[name]?.idleSince = nil
            case 2:
                guard let name else { continue }
                server.wait(name, for: .request)
                open[name]?.idleSince = server.now
            default:
                guard let name else { continue }
                server.places.leave(server.ids[name]!)
                open[name] = nil
            }
            #expect(open.count { !$0.value.isExtra } <= limit)
        }
    }
}
