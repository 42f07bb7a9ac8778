/// The name of a model on the Hub: `organisation/name`, or `name` alone for the oldest ones.
public struct HubID: Sendable, Equatable, CustomStringConvertible {
    public let description: String

    /// nil for what cannot be one, by the rules of `huggingface_hub`'s `validate_repo_id`.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard 1...2 ~= parts.count, parts.allSatisfy(Self.isName), !text.contains("--"), !text.contains(".."),
            !text.hasSuffix(".git")
        else { return nil }
        description = text
    }

    /// Whether it names its organisation; a name alone could as well be a directory's.
    public var hasOrganisation: Bool { description.contains("/") }

    /// Its folder in the cache.
    package var folder: String { "models--" + description.replacing("/", with: "--") }

    private static func isName(_ text: Substring) -> Bool {
        let isWord = { (byte: UInt8) in UInt8(ascii: "_") == byte || Character(Unicode.Scalar(byte)).isLetterOrDigit }
        guard 1...96 ~= text.utf8.count, let first = text.utf8.first, let last = text.utf8.last else { return false }
        return isWord(first) && isWord(last)
            && text.utf8.allSatisfy { isWord($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") }
    }
}

extension Character {
    fileprivate var isLetterOrDigit: Bool { isASCII && (isLetter || isNumber) }
}
