import ApusCurl
import Engine
import Foundation

/// GET by libcurl: one request after another, connections kept.
final class Curl {
    /// What stands above an answer's body.
    struct Head {
        fileprivate(set) var status = 0
        fileprivate var fields: [String: String] = [:]

        /// The first field of that name, which is given in lower case.
        subscript(name: String) -> String? { fields[name] }
    }

    typealias Body = (UnsafeRawBufferPointer) throws(HubError) -> Void

    private let handle: OpaquePointer

    init() throws(HubError) {
        var problem = [CChar](repeating: 0, count: Int(APUS_CURL_PROBLEM))
        guard let handle = apus_curl_open(&problem) else {
            throw .permanent(
                InputError(
                    "libcurl", "which fetches models, cannot be opened (\(Self.text(problem))). Install libcurl4"))
        }
        self.handle = handle
    }

    deinit { apus_curl_close(handle) }

    /// Returns when the whole answer is there.
    ///
    /// - Parameter receive: gets the head, and says where the body goes: nowhere where that is nil.
    func get(
        _ url: URL, _ headers: [String], _ settings: HubSettings,
        receive: @escaping (Head) throws(HubError) -> Body?
    ) throws(HubError) {
        let transfer = Transfer(receive)
        var problem = [CChar](repeating: 0, count: Int(APUS_CURL_PROBLEM))
        let lines = headers.map { strdup($0) }
        let proxy = url.scheme == "http" ? settings.httpProxy.map { strdup($0) } : nil
        let certificates = settings.certificates.map { strdup($0) }
        let code = url.absoluteString.withCString { url in
            (lines.map { UnsafePointer($0) } + [nil]).withUnsafeBufferPointer { lines in
                var request = apus_curl_request()
                request.url = url
                request.headers = lines.baseAddress
                request.proxy = UnsafePointer(proxy ?? nil)
                request.ca_file = UnsafePointer(certificates ?? nil)
                request.connect_seconds = settings.connectTimeout
                request.silent_seconds = settings.readTimeout
                request.header = { Transfer.of($0).header(UnsafeRawBufferPointer(start: $1, count: $2)) }
                request.body = { Transfer.of($0).body(UnsafeRawBufferPointer(start: $1, count: $2)) }
                request.context = Unmanaged.passUnretained(transfer).toOpaque()
                return apus_curl_get(handle, &request, &problem)
            }
        }
        for text in lines + [proxy ?? nil, certificates ?? nil] { free(text) }
        if let failure = transfer.failure { throw failure }
        guard code != 0, !transfer.hasAllThatIsWanted else { return }
        let text = "\(Origin(url)?.description ?? "the Hub"): \(Self.text(problem))"
        throw Self.isAboutCertificates(code)
            ? .permanent(InputError(text, "SSL_CERT_FILE may name a file of other certificates to trust"))
            : .transient(text)
    }

    /// CURLE_PEER_FAILED_VERIFICATION and CURLE_SSL_CACERT_BADFILE: asking again does not help.
    private static func isAboutCertificates(_ code: Int32) -> Bool { code == 60 || code == 77 }

    private static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// An answer on its way.
private final class Transfer {
    private static let maximumHead = 1 << 20
    /// Of a body that nobody wants so much is read, to keep the connection.
    private static let maximumSkipped = 1 << 16

    private(set) var failure: HubError?
    private let receive: (Curl.Head) throws(HubError) -> Curl.Body?
    private var head = Curl.Head()
    private var isHeadWhole = false
    private var headBytes = 0
    private var body: Curl.Body?
    private var skipped = 0

    init(_ receive: @escaping (Curl.Head) throws(HubError) -> Curl.Body?) { self.receive = receive }

    static func of(_ context: UnsafeMutableRawPointer?) -> Transfer {
        Unmanaged<Transfer>.fromOpaque(context!).takeUnretainedValue()
    }

    /// Whether no byte is missed where the rest does not come.
    var hasAllThatIsWanted: Bool { isHeadWhole && body == nil }

    /// A line with its end; false ends the transfer.
    func header(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if isHeadWhole { return true }  // a trailer
        headBytes += bytes.count
        guard headBytes <= Self.maximumHead else {
            failure = .transient("the answer's head is longer than \(Self.maximumHead) bytes")
            return false
        }
        let line = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        if line.hasPrefix("HTTP/") {
            // An interim answer may have come before.
            head = Curl.Head(status: line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0)
        } else if let colon = line.firstIndex(of: ":") {
            let name = line[..<colon].lowercased()
            if head.fields[name] == nil {
                head.fields[name] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            }
        } else if line.isEmpty, head.status >= 200 {
            isHeadWhole = true
            return attempt { () throws(HubError) in body = try receive(head) }
        }
        return true
    }

    func body(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let body else {
            skipped += bytes.count
            return skipped <= Self.maximumSkipped
        }
        return attempt { () throws(HubError) in try body(bytes) }
    }

    private func attempt(_ work: () throws(HubError) -> Void) -> Bool {
        do throws(HubError) {
            try work()
            return true
        } catch {
            failure = error
            return false
        }
    }
}
