import Engine
import Foundation
import Hummingbird

/// What the model is called in paths: by its name, or by its whole id on the Hub.
struct ModelNames: Sendable {
    /// In answers: as the operator calls it, else the last part of its id.
    let name: String
    /// `owner/name`, for a model that has such an id.
    let wholeID: String?
    /// What it may be called besides.
    let aliases: Set<String>

    /// - Parameter chosen: the operator's name for it.
    init(_ directory: ModelDirectory, chosen: String?) {
        let own = Self.name(directory)
        name = chosen ?? own
        wholeID = HubID(directory.name).flatMap { $0.hasOrganisation ? $0.description : nil }
        aliases = Set([own] + (wholeID.map { [$0] } ?? []))
    }

    /// The last component of its name, with a hyphen for what a URL would not hold as it is.
    private static func name(_ directory: ModelDirectory) -> String {
        let name = URL(fileURLWithPath: directory.name).standardizedFileURL.lastPathComponent
        let plain = name.unicodeScalars.map { scalar in
            scalar.isASCII && (scalar.properties.isAlphabetic || "0123456789._-".unicodeScalars.contains(scalar))
                ? scalar : "-"
        }
        return plain.isEmpty ? "model" : String(String.UnicodeScalarView(plain))
    }
}

/// Before the router: a path with the model's whole id, `/v2/models/owner/name/infer`, becomes the one with its name. The router
/// takes the id's slash for the end of a component.
struct WholeModelIDs<Base: HTTPResponder>: HTTPResponder {
    private static var starts: [String] { ["/v1/models/", "/v2/models/", "/v2/repository/models/"] }

    let base: Base
    let models: ModelRegistry

    init(_ base: Base, _ models: ModelRegistry) {
        self.base = base
        self.models = models
    }

    func respond(to request: Request, context: Base.Context) async throws -> Response {
        guard let path = request.head.path, let start = Self.starts.first(where: path.hasPrefix) else {
            return try await base.respond(to: request, context: context)
        }
        let asked = path.dropFirst(start.count)
        let models = models.current
        for whole in models.served.compactMap(\.names.wholeID) where asked.hasPrefix(whole) {
            let rest = asked.dropFirst(whole.count)
            guard rest.first.map({ "/:?".contains($0) }) ?? true, let model = models.find(whole) else { continue }
            var head = request.head
            head.path = start + model.names.name + rest
            return try await base.respond(to: Request(head: head, body: request.body), context: context)
        }
        return try await base.respond(to: request, context: context)
    }
}
