import HTTPTypes
import NIOCore
import Synchronization

/// The places for connections of one port. It is never deaf: while all are taken, what supervisors ask for is still answered.
final class ConnectionRoom: Sendable {
    /// How many connections beyond the limit may be there for one request.
    static let extras = 32
    /// What may be open beside the limit: the extras, and as many that are about to close.
    static let spare = 2 * extras
    /// How long such a request may take to arrive, and its answer to be read.
    private static let extraTime = Duration.seconds(1)
    /// The largest head of such a request, in bytes.
    private static let extraHeadBytes = 2 << 10

    private let limits: ServerLimits
    private let probes: Set<String>
    private let metrics: ServerMetrics
    private let places: Mutex<ConnectionPlaces<any Channel>>

    /// How many connections it lets be open at once.
    let maximum: Int

    /// - Parameters:
    ///   - places: how many there are.
    ///   - probes: what is answered beyond them, as `method path`.
    init(_ places: Int, limits: ServerLimits, probes: Set<String>, metrics: ServerMetrics) {
        self.limits = limits
        self.probes = probes
        self.metrics = metrics
        self.places = Mutex(ConnectionPlaces(limit: places, extras: Self.extras))
        maximum = places + Self.spare
    }

    /// Why the server ended a connection that its client would have kept.
    enum End: String, CaseIterable {
        case idle
        case slowHead = "slow_head"
        case slowBody = "slow_body"
        case slowReader = "slow_reader"
        /// It had kept the server waiting when another needed its place.
        case displaced
        /// It came when there was no place.
        case noPlace = "no_place"
    }

    /// One connection's place.
    struct Place: Sendable {
        let isExtra: Bool
        fileprivate let id: Int
        fileprivate let room: ConnectionRoom

        var limits: ServerLimits {
            var limits = room.limits
            if isExtra { (limits.readTimeout, limits.idleTimeout) = (extraTime, extraTime) }
            return limits
        }

        /// The largest head of a request, in bytes; nil for the usual limits.
        var headBytes: Int? { isExtra ? extraHeadBytes : nil }

        /// What its client has to do next; nil where it is the server's turn.
        func waits(for wait: ConnectionPlaces<any Channel>.Wait?) {
            room.places.withLock { $0.wait(id, for: wait, at: .now()) }
        }

        func ends(_ end: End) { room.metrics.connectionEnded(end) }

        /// Why the request is not answered from this place; nil where it is.
        func refusal(of request: HTTPRequest) -> RequestError? {
            guard isExtra else { return nil }
            let path = request.path?.prefix { $0 != "?" } ?? ""
            if room.probes.contains("\(request.method) \(path)") { return nil }
            return .noPlace(limit: room.limits.connections)
        }
    }

    /// Takes a new connection in, perhaps in another's place, which is closed without a word.
    func enter(_ channel: any Channel) -> Place {
        let entry = places.withLock { $0.enter(channel, at: .now()) }
        if let displaced = entry.displaced {
            metrics.connectionEnded(.displaced)
            displaced.close(promise: nil)
        }
        channel.closeFuture.whenComplete { [self] _ in places.withLock { $0.leave(entry.id) } }
        return Place(isExtra: entry.isExtra, id: entry.id, room: self)
    }
}
