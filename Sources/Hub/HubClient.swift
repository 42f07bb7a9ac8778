import Engine
import Foundation

/// Requests to the Hub and to where it redirects, one at a time.
struct HubClient {
    /// What an answer says about a file, redirects included.
    struct Metadata {
        var etag: String?
        var commit: String?
        /// Of the whole file.
        var size: Int?
    }

    struct Response {
        let metadata: Metadata
        let head: Curl.Head

        func isWebPage() -> Bool { head["content-type"]?.hasPrefix("text/html") == true }
    }

    private static let maximumRedirects = 10

    let settings: HubSettings
    private let token: String?
    private let curl: Curl

    init(_ settings: HubSettings) throws(HubError) {
        self.settings = settings
        do throws(InputError) { token = try settings.token() } catch { throw .permanent(error) }
        curl = try Curl()
    }

    /// GET, redirects followed; the token goes to the Hub alone.
    ///
    /// - Parameters:
    ///   - subject: what is asked for, for errors.
    ///   - start: the first byte wanted.
    ///   - receive: gets any answer below 400 that is no redirect, and 416; says where the body goes: nowhere where that is nil.
    func get(
        _ path: String, _ subject: String, from start: Int = 0,
        receive: @escaping (Response) throws(HubError) -> Curl.Body?
    ) throws(HubError) {
        var metadata = Metadata()
        guard var url = URL(string: settings.endpoint + path) else {
            throw .permanent(InputError(subject, "makes no URL at \(settings.endpoint)"))
        }
        let origin = Origin(url)
        for _ in 0...Self.maximumRedirects {
            // A compressed answer's ranges and length would be those of the compressed bytes.
            var headers = ["user-agent: apus/\(apusVersion)", "accept-encoding: identity"]
            if start > 0 { headers.append("range: bytes=\(start)-") }
            let isHub = Origin(url) == origin
            if isHub, let token { headers.append("authorization: Bearer \(token)") }
            var next: URL?
            try curl.get(url, headers, settings) { [url] head throws(HubError) in
                // An ETag of its own is a content network's affair; what a Hub links to is said by Hubs alone.
                metadata.etag =
                    (head["x-linked-etag"] ?? (isHub ? head["etag"] : nil)).map(Self.tag) ?? metadata.etag
                metadata.size = head["x-linked-size"].flatMap { Int($0) } ?? metadata.size
                metadata.commit = head["x-repo-commit"] ?? metadata.commit
                if [301, 302, 303, 307, 308].contains(head.status) {
                    next = try redirect(head, from: url, subject)
                    return nil
                }
                guard head.status < 400 || head.status == 416 else {
                    // Elsewhere even a 403 may pass: a signed address that has run out is made anew by the Hub.
                    throw isHub
                        ? hubError(head, subject)
                        : Self.transient(head, Origin(url)?.description ?? "a content network")
                }
                return try receive(Response(metadata: metadata, head: head))
            }
            guard let next else { return }
            url = next
        }
        throw .permanent(InputError(subject, "the Hub redirects more than \(Self.maximumRedirects) times"))
    }

    /// What stands in an ETag's quotes.
    static func tag(_ etag: String) -> String {
        etag.trimmingPrefix("W/").trimmingCharacters(in: CharacterSet(charactersIn: "\""))
    }

    private func redirect(_ head: Curl.Head, from url: URL, _ subject: String) throws(HubError) -> URL {
        guard let location = head["location"], let next = URL(string: location, relativeTo: url)?.absoluteURL,
            Origin(next) != nil, url.scheme?.lowercased() != "https" || next.scheme?.lowercased() == "https"
        else {
            throw .permanent(InputError(subject, "the Hub redirects to no address that can be followed"))
        }
        return next
    }

    private func hubError(_ head: Curl.Head, _ subject: String) -> HubError {
        let status = head.status
        if status == 408 || status == 429 || status >= 500 { return Self.transient(head, settings.endpoint) }
        let message = head["x-error-message"]
        let hasToken = token != nil
        let problem: String
        switch head["x-error-code"] {
        case "GatedRepo":
            problem =
                "is gated: accept its conditions on its page at \(settings.endpoint), then give "
                + "\(hasToken ? "the token of the account that did, by HF_TOKEN" : "your token by HF_TOKEN")"
        case "RevisionNotFound": problem = "has no such revision; check --revision"
        case "EntryNotFound": problem = "is not in the repository"
        case _ where message?.contains("Invalid credentials") == true:
            problem = "the Hub refuses the token; check HF_TOKEN, or make a new one at \(settings.endpoint)/settings/tokens"
        case let code where code == "RepoNotFound" || status == 401 || status == 404:
            problem =
                "is not at \(settings.endpoint), or private; check the name\(hasToken ? "" : ", or give a token by HF_TOKEN")"
        default:
            problem = "\(settings.endpoint) answers with status \(status)\(message.map { ": \($0)" } ?? "")"
        }
        return .permanent(InputError(subject, problem))
    }

    private static func transient(_ head: Curl.Head, _ place: String) -> HubError {
        // ratelimit: "api";r=0;t=55 says more than Retry-After where it is there: nothing is left for 55 seconds.
        let limit = head["ratelimit"]?.split(separator: ";").map { $0.filter { $0 != " " } } ?? []
        let reset = limit.contains("r=0") ? limit.first { $0.hasPrefix("t=") }.flatMap { Int($0.dropFirst(2)) } : nil
        let after = reset.map { $0 + 1 } ?? head["retry-after"].flatMap { Int($0) }
        return .transient("\(place) answers with status \(head.status)", after: after.map { max(0, $0) })
    }
}

/// Who answers at a URL; nil for a URL that is not of HTTP.
struct Origin: Equatable, CustomStringConvertible {
    let description: String

    init?(_ url: URL) {
        guard let scheme = url.scheme?.lowercased(), ["http", "https"].contains(scheme), let host = url.host?.lowercased(),
            !host.isEmpty, 1...65535 ~= url.port ?? 1
        else { return nil }
        description = "\(scheme)://\(host):\(url.port ?? (scheme == "https" ? 443 : 80))"
    }
}
