import Engine
import Hummingbird

/// What a client is told, in the one form that all errors have: `{"error": {"type", "message"}}`.
package struct RequestError: Error {
    package let status: HTTPResponse.Status
    package let type: String
    package let message: String
    package var headers: HTTPFields = [:]

    init(_ status: HTTPResponse.Status, _ type: String, _ message: String) {
        self.status = status
        self.type = type
        self.message = message
    }

    /// A field is missing, empty, of the wrong type or too long.
    static func invalid(_ message: String) -> RequestError {
        RequestError(.unprocessableContent, "invalid_request", message)
    }

    /// - Parameter asked: the request's texts, where they were counted.
    static func queueFull(waiting: Int, asked: Int?, limit: Int) -> RequestError {
        let request = asked.map { " and this request has \($0)" } ?? ""
        return .busy("\(waiting) texts wait for the model\(request); the limit is \(limit)")
    }

    /// - Parameter wait: how long the model has to do with what is before the request.
    static func tooLate(wait: Duration) -> RequestError {
        let seconds = max(1, Int((wait / .seconds(1)).rounded(.up)))
        return .busy(
            "the model could not get to this request in time: what waits before it takes \(seconds) s",
            retryAfter: seconds)
    }

    /// What a server that has no room left says, and when to come again.
    static func busy(_ why: String, retryAfter seconds: Int = 1) -> RequestError {
        var error = RequestError(
            .tooManyRequests, "queue_full", "\(why). Try again in \(seconds == 1 ? "a second" : "\(seconds) seconds")")
        error.headers[.retryAfter] = "\(seconds)"
        return error
    }

    /// What a connection beyond the limit is told.
    static func noPlace(limit: Int) -> RequestError {
        var error = RequestError(
            .serviceUnavailable, "too_many_connections",
            "all \(limit) connections of this server (--max-connections) are in use, and only health, status and metrics are "
                + "answered beyond them. Try again in a second")
        error.headers[.retryAfter] = "1"
        return error
    }

    static let stopping = RequestError(
        .serviceUnavailable, "stopping", "the server is stopping and takes no new work. Send the request to another one")

    /// The model that is asked for is not there, and may come.
    static func notReady(_ why: String) -> RequestError { RequestError(.serviceUnavailable, "not_ready", why) }

    static let deadline = RequestError(
        .gatewayTimeout, "deadline", "the model did not get to this request in time. Try again with fewer texts, or later")

    /// Nobody hears this one: the connection is closed.
    static let clientGone = RequestError(
        .init(code: 499, reasonPhrase: "Client Closed Request"), "client_gone", "the client left")

    var json: JSONValue { ["error": ["type": .string(type), "message": .string(message)]] }

    /// - Parameter isProtocol: whether the Open Inference Protocol's form is asked for.
    func response(isProtocol: Bool) -> Response {
        var response = Response.json(isProtocol ? ["error": .string(message)] : json, status: status)
        response.headers.append(contentsOf: headers)
        return response
    }
}

extension Response {
    static func json(_ value: JSONValue, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json"],
            body: .init(byteBuffer: ByteBuffer(bytes: value.serialized())))
    }
}
