import Engine
import Foundation
import Hummingbird

/// `GET /`, `/docs` and `/openapi.json`, from the files that ship beside the executable. Nothing in them comes from
/// elsewhere, which their Content-Security-Policy states.
struct Pages: Sendable {
    private struct File: Sendable {
        let headers: HTTPFields
        let body: ByteBuffer
    }

    private let files: [String: File]

    private static let pagePolicy =
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        + "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
    private static let docsPolicy =
        "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; "
        + "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'"

    private static let table: [(path: String, name: String, type: String, policy: String?)] = [
        ("/", "Pages/index.html", "text/html; charset=utf-8", pagePolicy),
        ("/docs", "Pages/docs.html", "text/html; charset=utf-8", docsPolicy),
        ("/docs/swagger-ui.css", "Pages/swagger-ui.css", "text/css; charset=utf-8", nil),
        ("/docs/swagger-ui-bundle.js", "Pages/swagger-ui-bundle.js", "text/javascript; charset=utf-8", nil),
        ("/openapi.json", "openapi.json", "application/json", nil),
    ]

    static let paths = table.map(\.path)

    private let models: ModelRegistry
    private let limits: ServerLimits

    init(_ models: ModelRegistry, limits: ServerLimits) throws(InputError) {
        self.models = models
        self.limits = limits
        var files: [String: File] = [:]
        for (path, name, type, policy) in Self.table {
            let text = try Self.resource(name)
            var headers: HTTPFields = [.contentType: type, .xContentTypeOptions: "nosniff", .cacheControl: "no-cache"]
            if let policy { headers[.contentSecurityPolicy] = policy }
            files[path] = File(headers: headers, body: ByteBuffer(string: text))
        }
        self.files = files
    }

    func page(_ request: Request, _ context: ApusRequestContext) throws -> Response {
        let path = request.uri.path
        guard let file = files[path] else {
            // "/docs/" comes here too, but a page's relative links are written for the path without the slash.
            guard let name = path.split(separator: "/").last else { throw HTTPError(.notFound) }
            return Response(status: .permanentRedirect, headers: [.location: "../\(name)"], body: .init())
        }
        let body = path == "/openapi.json" ? ByteBuffer(string: filled(String(buffer: file.body))) : file.body
        return Response(status: .ok, headers: file.headers, body: .init(byteBuffer: body))
    }

    private static func resource(_ name: String) throws(InputError) -> String {
        let folder = PackageResources.folder(of: "Server")
        let path = folder.appendingPathComponent(name).path
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw InputError(
                path,
                "a page of the server is missing. Keep the folder \(folder.lastPathComponent) beside the executable")
        }
        return text
    }

    /// The document with this server's figures, and the default model's.
    private func filled(_ document: String) -> String {
        let models = models.current
        let counts = models.served.map(\.classifier.labels.count)
        let own = models.standard?.classifier.labels ?? []
        let others = models.served.flatMap(\.classifier.labels).filter { !own.contains($0) }
        let names = models.served.map(\.names.name)
        let values: [(String, JSONValue)] = [
            ("model_id", .string(models.standard?.classifier.directory.name ?? "")),
            ("model_name", .string(models.defaultName)), ("model_names", Self.array(names)),
            ("version", .string(apusVersion)), ("max_characters", .integer(TextTokenizer.maximumCharacters)),
            ("max_client_batch", .integer(limits.clientBatch)), ("label_count", .integer(counts.max() ?? 0)),
            ("least_label_count", .integer(counts.min() ?? 0)),
            ("default_labels", Self.array(own)), ("labels", Self.array(own + Set(others).sorted())),
        ]
        return values.reduce(document) { text, value in
            text.replacing("\"@\(value.0)@\"", with: String(decoding: value.1.serialized(), as: UTF8.self))
        }
    }

    private static func array(_ strings: [String]) -> JSONValue { .array(strings.map(JSONValue.string)) }
}
