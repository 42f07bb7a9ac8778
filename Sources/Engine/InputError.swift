/// Something a user gave cannot be used: a file, a setting, a text.
///
/// The message says what it is (`subject`), what was found and what is allowed, and the next step where there is one.
/// Commands exit with code 2 for it.
public struct InputError: Error, Equatable, CustomStringConvertible {
    public let subject: String
    public let problem: String

    public init(_ subject: String, _ problem: String) {
        self.subject = subject
        self.problem = problem
    }

    /// On one line, whatever stands in names that come from files.
    public var description: String { "\(subject): \(problem)".printable }
}

extension [String] {
    /// The first ones, and how many there are.
    package var listed: String {
        prefix(8).joined(separator: ", ") + (count > 8 ? ", … (\(count) in all)" : "")
    }
}

extension InputError {
    /// The system refused `bytes`: the model, or what its passes need for the threads asked for, does not fit this machine.
    static func outOfMemory(_ bytes: Int) -> InputError {
        InputError(
            "memory",
            "the system refused \(bytes >> 20) MB for the model and its passes: use fewer threads or a smaller "
                + "model, or give the process more memory")
    }
}
