import Engine
import Hummingbird

/// What a client is told, in the one form that all errors have: `{"error": {"type", "message"}}`.
struct RequestError: Error {
    let status: HTTPResponse.Status
    let type: String
    let message: String
    var headers: HTTPFields = [:]

    init(_ status: HTTPResponse.Status, _ type: String, _ message: String) {
        self.status = status
        self.type = type
        self.message = message
    }

    /// A field is missing, empty, of the wrong type or too long.
    static func invalid(_ message: String) -> RequestError {
        RequestError(.unprocessableContent, "invalid_request", message)
    }

    var response: Response {
        var response = Response.json(
            ["error": ["type": .string(type), "message": .string(message)]], status: status)
        response.headers.append(contentsOf: headers)
        return response
    }
}

extension Response {
    static func json(_ value: JSONValue, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json; charset=utf-8"],
            body: .init(byteBuffer: ByteBuffer(bytes: value.serialized())))
    }
}
