import Engine
import Foundation

/// What the environment says about the Hub; the variables mean what they mean to Python's `huggingface_hub`.
public struct HubSettings: Sendable {
    /// Without a slash at its end.
    let endpoint: String
    /// What may hold a token, the first to be asked first: a variable or a file, and what stands there.
    private let tokens: [(place: String, token: String)]
    let isOffline: Bool
    /// To connect, and between two reads.
    let connectTimeout: Int
    let readTimeout: Int
    /// `HTTP_PROXY`, which libcurl does not read, as a CGI program's environment may hold a client's header in it.
    let httpProxy: String?
    /// `SSL_CERT_FILE`, which OpenSSL reads and libcurl does not.
    let certificates: String?

    public init(environment: [String: String] = ProcessInfo.processInfo.environment) throws(InputError) {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        func isTrue(_ name: String) -> Bool? { value(name).map { ["1", "ON", "YES", "TRUE"].contains($0.uppercased()) } }
        func seconds(_ name: String) throws(InputError) -> Int {
            guard let text = value(name) else { return 10 }
            guard let seconds = Int(text), 1...3600 ~= seconds else {
                throw InputError(name, "is \"\(text)\"; it must be a whole number of seconds from 1 to 3600")
            }
            return seconds
        }
        var endpoint = value("HF_ENDPOINT") ?? "https://huggingface.co"
        while endpoint.hasSuffix("/") { endpoint.removeLast() }
        guard let url = URL(string: endpoint), Origin(url) != nil else {
            throw InputError("HF_ENDPOINT", "is \"\(endpoint)\"; it must be a URL such as https://huggingface.co")
        }
        self.endpoint = endpoint
        isOffline = isTrue("HF_HUB_OFFLINE") ?? isTrue("TRANSFORMERS_OFFLINE") ?? false
        connectTimeout = try seconds("HF_HUB_ETAG_TIMEOUT")
        readTimeout = try seconds("HF_HUB_DOWNLOAD_TIMEOUT")
        httpProxy = environment["http_proxy"] == nil ? value("HTTP_PROXY") : nil
        certificates = HubCache.path("SSL_CERT_FILE", environment)
        let path = HubCache.path("HF_TOKEN_PATH", environment) ?? HubCache.home(environment) + "/token"
        var sources = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].map { ($0, value($0) ?? "") }
        sources.append((path, FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""))
        if isTrue("HF_HUB_DISABLE_IMPLICIT_TOKEN") == true { sources = [] }
        tokens =
            sources
            .map { ($0, $1.filter { !$0.isNewline }.trimmingCharacters(in: .whitespaces)) }
            .filter { !$1.isEmpty }
    }

    /// nil where there is none. Throws where it cannot be one: it would not come through in a header.
    func token() throws(InputError) -> String? {
        guard let (place, token) = tokens.first else { return nil }
        guard token.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            throw InputError(place, "holds a character that no token has; tokens are made at \(endpoint)/settings/tokens")
        }
        return token
    }
}
