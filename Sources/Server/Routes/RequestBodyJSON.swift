import Engine

/// What every body is checked for, and told.
extension JSONValue {
    /// A body's JSON, of any kind. A byte order mark before it, as some editors and .NET write one, is skipped.
    init(anyOf body: [UInt8]) throws(RequestError) {
        do {
            self = try JSONValue(parsing: body.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(body.dropFirst(3)) : body)
        } catch {
            throw RequestError(.badRequest, "malformed_json", "the body is not JSON: \(error)")
        }
    }

    /// A body's JSON, which must be an object.
    ///
    /// - Parameter needs: what it must have, for the message.
    init(body: [UInt8], needs: String) throws(RequestError) {
        try self.init(anyOf: body)
        guard object != nil else { throw .invalid("the body is \(kind); it must be an object with \(needs)") }
    }

    func boolean(_ field: String) throws(RequestError) -> Bool {
        guard let bool else { throw .invalid("field \"\(field)\" is \(kind); it must be true or false") }
        return bool
    }
}
