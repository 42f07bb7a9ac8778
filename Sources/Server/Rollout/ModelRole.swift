import Engine

/// What a model is for, beside the default one.
public enum ModelRole: Sendable, Equatable, CustomStringConvertible {
    /// It answers this share of the requests that name no model, 0 to 1.
    case canary(share: Double)
    /// It reads this share of the texts that the default model has answered, and answers none of them.
    case shadow(share: Double)

    public var description: String {
        switch self {
        case .canary(share: 1): "default"
        case .canary(let share): "canary of \(share)"
        case .shadow(let share): "shadow of \(share)"
        }
    }

    var isShadow: Bool { if case .shadow = self { true } else { false } }

    /// `NAME=5%`, or `NAME` where `standard` says which share that is.
    ///
    /// - Parameter option: for messages.
    public static func named(
        _ text: String, by option: String, standard: Double? = nil
    ) throws(InputError) -> (name: String, share: Double) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let share = parts.count == 2 ? RequestShare.parse(parts[1]) : standard, ModelSource.isName(parts[0]) else {
            throw InputError(option, "\"\(text)\" is no model's name with a share from 0% to 100%: NAME=5%")
        }
        return (parts[0], share)
    }
}
