import HTTPTypes

/// The API key, compared in constant time.
struct Authentication: Sendable {
    private let key: [UInt8]

    init(key: String) { self.key = Array(key.utf8) }

    /// Throws unless the request has the key as its bearer token (RFC 6750).
    func check(_ headers: HTTPFields) throws(RequestError) {
        let parts = headers[.authorization]?.split(separator: " ", maxSplits: 1) ?? []
        let token = parts.count == 2 && parts[0].lowercased() == "bearer" ? Array(parts[1].utf8) : []
        guard isKey(token) else {
            var error = RequestError(
                .unauthorized, "unauthorized",
                parts.isEmpty
                    ? "this server wants an API key; send it as Authorization: Bearer KEY"
                    : "the API key in Authorization is not this server's; send it as Authorization: Bearer KEY")
            error.headers[.wwwAuthenticate] = "Bearer"
            throw error
        }
    }

    /// Takes as long for any token of a length: all of it is looked at, wherever the first wrong byte is.
    private func isKey(_ token: [UInt8]) -> Bool {
        var difference = token.count ^ key.count
        for (index, byte) in token.enumerated() where !key.isEmpty { difference |= Int(byte ^ key[index % key.count]) }
        return difference == 0
    }
}
