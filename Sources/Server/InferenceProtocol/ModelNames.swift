import Engine
import Foundation
import Hummingbird

/// What the model is called in paths: by its name, or by its whole id on the Hub.
struct ModelNames: Sendable {
    /// In answers: as the operator calls it, else the last part of its id.
    let name: String
    /// `owner/name`, for a model that has such an id.
    let wholeID: String?
    private let all: Set<String>

    /// - Parameter chosen: the operator's name for it.
    init(_ directory: ModelDirectory, chosen: String?) {
        let own = Self.name(directory)
        name = chosen ?? own
        wholeID = HubID(directory.name).flatMap { $0.hasOrganisation ? $0.description : nil }
        all = Set([name, own] + (wholeID.map { [$0] } ?? []))
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

    /// Throws unless the path asks for this model.
    func check(_ context: ApusRequestContext) throws(RequestError) {
        let asked = context.parameters.get("model")?.removingPercentEncoding ?? ""
        guard all.contains(asked) else {
            throw RequestError(.notFound, "not_found", "there is no model \"\(asked)\"; this server has \"\(name)\"")
        }
    }
}

/// Before the router: a path with the model's whole id, `/v2/models/owner/name/infer`, becomes the one with its name. The router
/// takes the id's slash for the end of a component.
struct WholeModelIDs<Base: HTTPResponder>: HTTPResponder {
    let base: Base
    private let rewritten: [(whole: String, short: String)]

    init(_ base: Base, _ names: ModelNames) {
        self.base = base
        rewritten = ["/v1/models/", "/v2/models/"].flatMap { start in
            names.wholeID.map { [(start + $0, start + names.name)] } ?? []
        }
    }

    func respond(to request: Request, context: Base.Context) async throws -> Response {
        for (whole, short) in rewritten {
            guard let path = request.head.path, path.hasPrefix(whole) else { continue }
            let rest = path.dropFirst(whole.count)
            guard rest.first.map({ "/:?".contains($0) }) ?? true else { continue }
            var head = request.head
            head.path = short + rest
            return try await base.respond(to: Request(head: head, body: request.body), context: context)
        }
        return try await base.respond(to: request, context: context)
    }
}
