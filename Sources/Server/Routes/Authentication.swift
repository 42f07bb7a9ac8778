import Crypto
import Hummingbird

/// The API key, compared in constant time.
struct Authentication: Sendable {
    private let digest: SHA256Digest

    init(key: String) { digest = SHA256.hash(data: Array(key.utf8)) }

    /// Throws unless the request has the key as its bearer token (RFC 6750).
    func check(_ request: Request) throws(RequestError) {
        let parts = request.headers[.authorization]?.split(separator: " ", maxSplits: 1) ?? []
        let token = parts.count == 2 && parts[0].lowercased() == "bearer" ? Array(parts[1].utf8) : []
        // Swift Crypto compares digests in constant time, whatever the token's length.
        guard SHA256.hash(data: token) == digest else {
            var error = RequestError(
                .unauthorized, "unauthorized",
                parts.isEmpty
                    ? "this server wants an API key; send it as Authorization: Bearer KEY"
                    : "the API key in Authorization is not this server's; send it as Authorization: Bearer KEY")
            error.headers[.wwwAuthenticate] = "Bearer"
            throw error
        }
    }
}
