import Engine
import HTTPTypes
import Hummingbird
import NIOCore

/// gRPC's form of calls, as routes have them: a POST a call, one message in and one out
/// (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
enum GRPC {
    static let contentType = "application/grpc"
    /// Before each message: whether it is compressed, and its length.
    private static let prefixBytes = 5

    /// Whether errors are to be told in gRPC's form.
    static func isCall(_ request: Request) -> Bool {
        guard let type = request.headers[.contentType], type.hasPrefix(contentType) else { return false }
        return [nil, "+", ";"].contains(type.dropFirst(contentType.count).first)
    }

    /// Throws where it is not a call whose message can be read.
    static func check(_ request: Request) throws(RequestError) {
        guard isCall(request) else {
            throw RequestError(
                .unsupportedMediaType, "unsupported_media_type", "this path is for gRPC: send \(contentType) by HTTP/2")
        }
        let type = request.headers[.contentType] ?? ""
        if type.dropFirst(contentType.count).first == "+", !type.hasPrefix(contentType + "+proto") {
            throw RequestError(
                .unsupportedMediaType, "unsupported_media_type", "Content-Type is \(type); send \(contentType)+proto")
        }
    }

    /// The message of a body.
    static func message(_ body: [UInt8]) throws(RequestError) -> ArraySlice<UInt8> {
        let isCompressed = body.first == 1
        guard body.count >= prefixBytes, body[0] <= 1 else {
            throw RequestError(.badRequest, "bad_request", "the call has no message: its body has \(body.count) bytes")
        }
        if isCompressed {
            throw RequestError(
                .unsupportedMediaType, "unsupported_media_type",
                "compressed messages are not supported; send them as they are")
        }
        let length = body[1..<prefixBytes].reduce(0) { $0 << 8 | Int($1) }
        guard length == body.count - prefixBytes else {
            throw RequestError(
                .badRequest, "bad_request",
                "the call's message has \(length) bytes, but \(body.count - prefixBytes) bytes follow; send one message")
        }
        return body[prefixBytes...]
    }

    /// How long the client waits; nil where it does not say.
    static func timeout(_ request: Request) throws(RequestError) -> Duration? {
        guard let text = request.headers[.grpcTimeout] else { return nil }
        let units: [Character: Duration] = [
            "H": .seconds(3600), "M": .seconds(60), "S": .seconds(1), "m": .milliseconds(1), "u": .microseconds(1),
            "n": .nanoseconds(1),
        ]
        guard 2...9 ~= text.utf8.count, let unit = text.last.flatMap({ units[$0] }), let value = UInt32(text.dropLast())
        else {
            throw RequestError(
                .badRequest, "bad_request",
                "grpc-timeout is \(text); it must be up to eight digits and one of H, M, S, m, u, n")
        }
        return unit * Int(value)
    }

    static func response(_ message: ProtobufWriter) -> Response {
        let bytes = message.bytes
        var body = ByteBuffer()
        body.reserveCapacity(prefixBytes + bytes.count)
        body.writeInteger(UInt8(0))
        body.writeInteger(UInt32(bytes.count))
        body.writeBytes(bytes)
        return response(body, [.grpcStatus: "0"])
    }

    /// - Parameter isMethod: whether there is such a method.
    static func response(_ error: RequestError, isMethod: Bool) -> Response {
        response(
            ByteBuffer(),
            [
                .grpcStatus: "\(Status(error, isMethod: isMethod).rawValue)", .grpcMessage: percentEncoded(error.message),
                .grpcAcceptEncoding: "identity",
            ])
    }

    /// What is behind the answer in gRPC stands in the head here, and `HTTP2Stream` puts it there.
    private static func response(_ body: ByteBuffer, _ headers: HTTPFields) -> Response {
        var headers = headers
        headers[.contentType] = contentType
        return Response(status: .ok, headers: headers, body: .init(byteBuffer: body))
    }

    private static func percentEncoded(_ message: String) -> String {
        message.utf8.map { byte in
            if 0x20...0x7E ~= byte, byte != UInt8(ascii: "%") { return String(UnicodeScalar(byte)) }
            return "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }.joined()
    }

    /// gRPC's codes, as far as they are used.
    enum Status: Int {
        case cancelled = 1
        case invalidArgument = 3
        case deadlineExceeded = 4
        case notFound = 5
        case permissionDenied = 7
        case resourceExhausted = 8
        case unimplemented = 12
        case `internal` = 13
        case unavailable = 14
        case unauthenticated = 16

        init(_ error: RequestError, isMethod: Bool) {
            self =
                switch error.status {
                case .unauthorized: .unauthenticated
                case .forbidden: .permissionDenied
                case .notFound: isMethod ? .notFound : .unimplemented
                case .methodNotAllowed, .unsupportedMediaType: .unimplemented
                case .contentTooLarge, .tooManyRequests: .resourceExhausted
                case .requestTimeout, .gatewayTimeout: .deadlineExceeded
                case .serviceUnavailable: .unavailable
                case RequestError.clientGone.status: .cancelled
                case let status where status.kind == .clientError: .invalidArgument
                default: .internal
                }
        }
    }
}

extension HTTPField.Name {
    static let grpcStatus = Self("grpc-status")!
    static let grpcMessage = Self("grpc-message")!
    static let grpcTimeout = Self("grpc-timeout")!
    static let grpcAcceptEncoding = Self("grpc-accept-encoding")!
}
