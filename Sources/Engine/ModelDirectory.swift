import Foundation

/// Where a model's files are.
public struct ModelDirectory: Sendable, Equatable {
    public let path: String
    /// How people call it: the directory as it was given, or `apus/…` for the one inside the package.
    public let name: String

    /// A directory given by `--model` or `APUS_MODEL`.
    public init(path: String) throws(InputError) {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw InputError(
                path, "this model directory does not exist. Give a directory with config.json, the weights and the "
                    + "tokenizer, or leave --model out for the model inside the package")
        }
        guard isDirectory.boolValue else { throw InputError(path, "is a file; a model is a directory with config.json") }
        guard FileManager.default.fileExists(atPath: path + "/config.json") else {
            throw InputError(path, "has no config.json, so it is not a model directory")
        }
        self.path = path
        name = path
    }

    private init(path: String, name: String) {
        self.path = path
        self.name = name
    }

    /// The JSON of a file that a model directory may hold; nil where it does not.
    ///
    /// - Parameter advice: what to do about a damaged one.
    func json(_ file: String, advice: String) throws(InputError) -> JSONValue? {
        let path = path + "/" + file
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let bytes = try MappedFile(path: path).contents()
        do {
            return try JSONValue(parsing: bytes)
        } catch {
            throw InputError(path, "is not JSON: \(error). \(advice)")
        }
    }

    /// `given`, else `APUS_MODEL`, else the model that ships inside the package.
    public static func resolve(
        _ given: String?, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(InputError) -> ModelDirectory {
        if let given {
            // An unset variable in a script (--model "$MODEL") must not pass for the shipped model.
            guard !given.isEmpty else { throw InputError("--model", "is empty; give a model directory, or leave it out") }
            return try ModelDirectory(path: given)
        }
        if let path = environment["APUS_MODEL"], !path.isEmpty { return try ModelDirectory(path: path) }
        return try shipped()
    }

    /// The model inside the package. SwiftPM puts its resources beside the executable.
    public static func shipped() throws(InputError) -> ModelDirectory {
        let path = Bundle.main.bundleURL.appendingPathComponent("apus_Engine.resources/Model").path
        guard FileManager.default.fileExists(atPath: path + "/config.json") else {
            throw InputError(
                path, "the model inside the package is missing. Keep the folder apus_Engine.resources beside the "
                    + "executable, or give --model")
        }
        return ModelDirectory(path: path, name: "apus/minilm-l6-tweet-sentiment")
    }
}
