import Engine
import Foundation

/// What a served model is made of: an option `--model`, a row of `--models FILE`, or what a load over HTTP says.
public struct ModelSource: Sendable, Equatable {
    /// nil for the last part of the model's id.
    public var name: String?
    /// A directory, a fastText model's file or a name on the Hub; nil for `APUS_MODEL`, else the model inside the package.
    public var model: String?
    public var revision: String?
    /// nil for the server's own.
    public var precision: Precision?
    /// nil for the server's own.
    public var textPreparation: TextPreparation?
    /// What it is loaded for; nil for nothing but itself, and for a model that is served, what it is now.
    public var role: ModelRole?

    public init(name: String? = nil, model: String? = nil, revision: String? = nil) {
        self.name = name
        self.model = model
        self.revision = revision
    }

    var withoutRole: ModelSource {
        var source = self
        source.role = nil
        return source
    }

    public static func isName(_ text: String) -> Bool { text.wholeMatch(of: /[A-Za-z0-9._\-]{1,128}/) != nil }

    private static let members = ["model", "revision", "precision", "text_preparation"] + roles
    private static let roles = ["share", "shadow"]

    /// Whether nothing is said of a model but what it is for.
    static func isRoleOnly(_ json: JSONValue) -> Bool { json.object?.allSatisfy { roles.contains($0.name) } ?? false }

    /// Takes over what an object says of `members`; whatever else it has is refused by name.
    ///
    /// - Parameter place: where the object stands, for messages.
    mutating func take(_ json: JSONValue, _ place: String, besides others: [String] = []) throws(InputError) {
        guard let object = json.object else { throw InputError(place, "is \(json.kind); it must be an object") }
        for member in object {
            guard !others.contains(member.name) else { continue }
            guard Self.members.contains(member.name) else {
                let known = (others + Self.members).joined(separator: ", ")
                throw InputError(place, "has \"\(member.name)\", which means nothing here; known are \(known)")
            }
            if Self.roles.contains(member.name) {
                try takeRole(member, place)
                continue
            }
            guard let text = member.value.string, !text.isEmpty else {
                throw InputError("\(place): \"\(member.name)\"", "must be a string that is not empty")
            }
            switch member.name {
            case "model": model = text
            case "revision": revision = text
            case "precision":
                guard let precision = Precision(rawValue: text) else {
                    throw InputError(
                        "\(place): \"precision\"",
                        "is \"\(text)\"; it must be one of \(Precision.allCases.map(\.rawValue).joined(separator: ", "))")
                }
                self.precision = precision
            default: textPreparation = try TextPreparation(named: text, by: "\(place): \"text_preparation\"")
            }
        }
    }

    private mutating func takeRole(_ member: JSONValue.Member, _ place: String) throws(InputError) {
        guard let share = member.value.string.map(RequestShare.parse) ?? member.value.double, 0...1 ~= share else {
            throw InputError("\(place): \"\(member.name)\"", "must be a share from \"0%\" to \"100%\"")
        }
        guard role == nil else { throw InputError(place, "has both \"share\" and \"shadow\"; give one of them") }
        role = member.name == "share" ? .canary(share: share) : .shadow(share: share)
    }

    /// The rows of a models file, `{"models": [{"name", "model", …}, …]}`; the first is the default model's.
    public static func file(_ path: String) throws(InputError) -> [ModelSource] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw InputError(path, "cannot be read; give a file with {\"models\": [{\"name\": …, \"model\": …}, …]}")
        }
        let json: JSONValue
        do {
            json = try JSONValue(parsing: Array(data))
        } catch {
            throw InputError(path, "is not JSON: \(error)")
        }
        guard let object = json.object, object.map(\.name) == ["models"], let rows = json["models"]?.array, !rows.isEmpty
        else {
            throw InputError(path, "must be an object with one member, \"models\": an array of one or more models")
        }
        var sources: [ModelSource] = []
        for (index, row) in rows.enumerated() {
            let place = "\(path): models[\(index)]"
            var source = ModelSource()
            try source.take(row, place, besides: ["name"])
            guard let name = row["name"]?.string, isName(name) else {
                throw InputError(place, "needs a \"name\" of letters, digits, dots, hyphens and underscores, 128 at most")
            }
            guard source.model != nil else {
                throw InputError(place, "needs a \"model\": a directory, a fastText model's file, or a name on the Hub")
            }
            guard !sources.contains(where: { $0.name == name }) else {
                throw InputError(place, "has the name \"\(name)\" again; each model needs its own")
            }
            source.name = name
            sources.append(source)
        }
        return sources
    }
}
