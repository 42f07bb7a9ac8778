import AsyncHTTPClient
import Engine
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix

/// Requests to the Hub and to where it redirects, one at a time.
struct HubClient {
    /// What an answer says about a file; from the Hub's own answers, not those of a content network it redirects to.
    struct Metadata {
        var etag: String?
        var commit: String?
    }

    struct Response {
        let metadata: Metadata
        let status: Int
        let headers: HTTPHeaders
        let body: HTTPClientResponse.Body

        func isWebPage() -> Bool { headers.first(name: "content-type")?.hasPrefix("text/html") == true }
    }

    private static let maximumRedirects = 10

    let settings: HubSettings
    private let token: String?
    private let client: HTTPClient

    /// Calls `body` with a client, and ends its connections afterwards.
    static func with<Result: Sendable>(
        _ settings: HubSettings, _ body: (HubClient) async throws(HubError) -> Result
    ) async throws(HubError) -> Result {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        let token: String?
        do throws(InputError) { token = try settings.token() } catch { throw .permanent(error) }
        configuration.timeout.connect = .seconds(Int64(settings.connectTimeout))
        configuration.timeout.read = .seconds(Int64(settings.readTimeout))
        // Trying again is for `Backoff`; by itself the client would for as long as the timeout.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        do throws(HubError) {
            let result = try await body(HubClient(settings: settings, token: token, client: client))
            try? await client.shutdown()
            return result
        } catch {
            try? await client.shutdown()
            throw error
        }
    }

    /// GET, redirects followed; the token goes to the Hub alone. Any status below 400 but a redirect's is handed back.
    ///
    /// - Parameters:
    ///   - subject: what is asked for, for errors.
    ///   - start: the first byte wanted.
    func get(_ path: String, _ subject: String, from start: Int = 0) async throws(HubError) -> Response {
        var metadata = Metadata()
        guard var url = URL(string: settings.endpoint + path) else {
            throw .permanent(InputError(subject, "makes no URL at \(settings.endpoint)"))
        }
        let origin = Origin(url)
        for _ in 0...Self.maximumRedirects {
            var request = HTTPClientRequest(url: url.absoluteString)
            request.headers.add(name: "user-agent", value: "apus/\(apusVersion)")
            // A compressed answer's ranges and length would be those of the compressed bytes.
            request.headers.add(name: "accept-encoding", value: "identity")
            if start > 0 { request.headers.add(name: "range", value: "bytes=\(start)-") }
            let isHub = Origin(url) == origin
            if isHub, let token { request.headers.add(name: "authorization", value: "Bearer \(token)") }
            let response: HTTPClientResponse
            do {
                response = try await client.execute(request, deadline: .distantFuture)
            } catch {
                throw Self.transient(error, url)
            }
            if isHub {
                metadata.etag =
                    response.headers.first(name: "x-linked-etag") ?? response.headers.first(name: "etag")
                    ?? metadata.etag
                metadata.commit = response.headers.first(name: "x-repo-commit") ?? metadata.commit
            }
            let status = Int(response.status.code)
            if [301, 302, 303, 307, 308].contains(status) {
                guard let location = response.headers.first(name: "location"),
                    let next = URL(string: location, relativeTo: url)?.absoluteURL, Origin(next) != nil,
                    url.scheme?.lowercased() != "https" || next.scheme?.lowercased() == "https"
                else {
                    throw .permanent(InputError(subject, "the Hub redirects to no address that can be followed"))
                }
                url = next
                continue
            }
            guard status < 400 || status == 416 else {
                // Elsewhere even a 403 may pass: a signed address that has run out is made anew by the Hub.
                throw isHub
                    ? hubError(status, response.headers, subject)
                    : Self.transient(status, response.headers, Origin(url)?.description ?? "a content network")
            }
            return Response(metadata: metadata, status: status, headers: response.headers, body: response.body)
        }
        throw .permanent(InputError(subject, "the Hub redirects more than \(Self.maximumRedirects) times"))
    }

    /// A failure of the connection.
    static func transient(_ error: any Error, _ url: URL? = nil) -> HubError {
        let place = url.flatMap { Origin($0)?.description }
        let problem =
            switch error {
            case let error as HTTPClientError where error == .readTimeout: "no bytes came for too long"
            case let error as HTTPClientError where error == .remoteConnectionClosed: "the connection was cut"
            case let error as HTTPClientError: error.shortDescription
            case is NIOConnectionError: "the connection is refused, or there is no such host"
            case let error as IOError: String(cString: strerror(error.errnoCode))
            default: "the connection failed (\(error))"
            }
        return .transient(place.map { "\($0): \(problem)" } ?? problem)
    }

    private func hubError(_ status: Int, _ headers: HTTPHeaders, _ subject: String) -> HubError {
        if Self.isTransient(status) { return Self.transient(status, headers, settings.endpoint) }
        let message = headers.first(name: "x-error-message")
        let hasToken = token != nil
        let problem: String
        switch headers.first(name: "x-error-code") {
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

    private static func isTransient(_ status: Int) -> Bool { status == 408 || status == 429 || status >= 500 }

    private static func transient(_ status: Int, _ headers: HTTPHeaders, _ place: String) -> HubError {
        // ratelimit: "api";r=0;t=55 says more than Retry-After where it is there: nothing is left for 55 seconds.
        let limit = headers.first(name: "ratelimit")?.split(separator: ";").map { $0.filter { $0 != " " } } ?? []
        let reset = limit.contains("r=0") ? limit.first { $0.hasPrefix("t=") }.flatMap { Int($0.dropFirst(2)) } : nil
        let after = reset.map { $0 + 1 } ?? headers.first(name: "retry-after").flatMap { Int($0) }
        return .transient("\(place) answers with status \(status)", after: after.map { max(0, $0) })
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
