import Engine
import Foundation

/// What the environment says about the Hub; the variables mean what they mean to Python's `huggingface_hub`.
public struct HubSettings: Sendable {
    /// Without a slash at its end.
    let endpoint: String
    let token: String?
    let isOffline: Bool
    /// To connect, and between two reads.
    let connectTimeout: Int
    let readTimeout: Int

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
        let path = HubCache.path("HF_TOKEN_PATH", environment) ?? HubCache.home(environment) + "/token"
        let stored = FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
        let given = isTrue("HF_HUB_DISABLE_IMPLICIT_TOKEN") == true
            ? nil : value("HF_TOKEN") ?? value("HUGGING_FACE_HUB_TOKEN") ?? stored
        let token = given?.filter { !$0.isNewline }.trimmingCharacters(in: .whitespaces)
        guard token?.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) ?? true else {
            throw InputError("HF_TOKEN", "holds a character that no token has; tokens are made at \(endpoint)/settings/tokens")
        }
        self.token = token.flatMap { $0.isEmpty ? nil : $0 }
    }
}
