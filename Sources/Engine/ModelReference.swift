import Foundation

/// What `--model` may say.
public enum ModelReference: Sendable, Equatable {
    /// The model inside the package.
    case shipped
    /// A directory, or a fastText model's file.
    case path(String)
    /// `organisation/name`, where no such path exists.
    case hub(HubID)

    /// `given`, else `APUS_MODEL`, else the model that ships inside the package.
    public init(
        _ given: String?, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(InputError) {
        // An unset variable in a script (--model "$MODEL") must not pass for the shipped model.
        guard given?.isEmpty != true else { throw InputError("--model", "is empty; give a model, or leave it out") }
        let name = given ?? environment["APUS_MODEL"] ?? ""
        if name.isEmpty || name == ModelDirectory.shippedName {
            self = .shipped
        } else if let id = HubID(name), id.hasOrganisation, !FileManager.default.fileExists(atPath: name) {
            self = .hub(id)
        } else {
            self = .path(name)
        }
    }
}
