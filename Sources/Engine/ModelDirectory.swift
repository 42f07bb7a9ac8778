import Foundation

/// Where a model's files are.
public struct ModelDirectory: Sendable, Equatable {
    public let path: String
    /// How people call it: the directory or file as it was given, the Hub's id, or `apus/…` for the one inside the package.
    public let name: String
    /// The commit, for a model of the Hub.
    public let revision: String?
    /// The file, for a fastText model.
    package let fastText: String?
    /// What the names of the files beside the model begin with.
    private let prefix: String

    public var isFastText: Bool { fastText != nil }

    /// A directory, or a fastText model's file, as given by `--model` or `APUS_MODEL`.
    public init(path: String) throws(InputError) { try self.init(path: path, name: path, revision: nil) }

    /// A model of the Hub, from its cache.
    public init(_ id: HubID, _ snapshot: HubCache.Snapshot) throws(InputError) {
        try self.init(path: snapshot.path, name: id.description, revision: snapshot.commit)
    }

    private init(path: String, name: String, revision: String?) throws(InputError) {
        func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(path)/\(name)") }
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw InputError(
                path,
                "this model directory does not exist. Give a directory with config.json, the weights and the "
                    + "tokenizer, a fastText model's file, a name on the Hub (organisation/name), or leave --model out for the "
                    + "model inside the package")
        }
        self.name = name
        self.revision = revision
        if !isDirectory.boolValue {
            self.path = path.contains("/") ? (path as NSString).deletingLastPathComponent : "."
            fastText = path
            prefix = path + "."
        } else {
            self.path = path
            prefix = path + "/"
            fastText = exists("config.json") ? nil : ModelFiles.fastText.first(where: exists).map { "\(path)/\($0)" }
            guard exists("config.json") || fastText != nil else {
                throw InputError(
                    path, "has no config.json, so it is not a model directory, and no fastText model (model.bin, model.ftz)")
            }
        }
    }

    /// The path of a file that belongs to the model: in its directory; beside a fastText model that was given as a file, with
    /// that one's name before its own (`a.ftz.evaluation_report.json`), since others may lie there too.
    public func file(_ name: String) -> String { prefix + name }

    /// The JSON of a file that a model directory may hold; nil where it does not.
    ///
    /// - Parameter advice: what to do about a damaged one.
    func json(_ file: String, advice: String) throws(InputError) -> JSONValue? {
        let path = self.file(file)
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let bytes = try MappedFile(path: path).contents()
        do {
            return try JSONValue(parsing: bytes)
        } catch {
            throw InputError(path, "is not JSON: \(error). \(advice)")
        }
    }

    /// `given`, else `APUS_MODEL`, else the model that ships inside the package. One of the Hub comes from the cache; it is
    /// not fetched.
    public static func resolve(
        _ given: String?, revision: String? = nil, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(InputError) -> ModelDirectory {
        switch try ModelReference(given, environment: environment) {
        case .hub(let id):
            let revision = revision ?? "main"
            let cache = HubCache(environment: environment)
            guard let snapshot = cache.snapshot(id, revision: revision) else {
                throw InputError(
                    id.description,
                    "is not a directory here; its revision \(revision) of the Hub "
                        + "\(cache.absence(of: id, revision: revision)); fetch it: apus pull \(id)")
            }
            return try ModelDirectory(id, snapshot)
        case let reference:
            guard revision == nil else {
                throw InputError("--revision", "is for a model of the Hub, which --model does not name")
            }
            if case .path(let path) = reference { return try ModelDirectory(path: path) }
            return try shipped()
        }
    }

    /// What the model inside the package is called.
    static let shippedName = "apus/minilm-l6-tweet-sentiment"

    /// The model inside the package.
    public static func shipped() throws(InputError) -> ModelDirectory {
        let folder = PackageResources.folder(of: "Engine")
        let path = folder.appendingPathComponent("Model").path
        guard FileManager.default.fileExists(atPath: path + "/config.json") else {
            throw InputError(
                path,
                "the model inside the package is missing. Keep the folder \(folder.lastPathComponent) beside the "
                    + "executable, or give --model")
        }
        return try ModelDirectory(path: path, name: shippedName, revision: nil)
    }
}
