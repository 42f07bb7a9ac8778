import Engine
import Foundation

/// Why something could not be had from the Hub.
enum HubError: Error {
    /// Asking again may help: nobody answers, or the Hub says so.
    ///
    /// - Parameters:
    ///   - after: not before so many seconds.
    ///   - subject: what was asked for, where it is not the model as a whole.
    case transient(String, after: Int? = nil, subject: String? = nil)
    case permanent(InputError)

    /// As a user is told; `model` is what was asked for.
    func inputError(_ model: String, tries: Int) -> InputError {
        switch self {
        case .permanent(let error): error
        case .transient(let problem, _, let subject):
            InputError(
                subject ?? model, "cannot be fetched: \(problem)\(tries > 1 ? " (\(tries) tries)" : ""). Try again later")
        }
    }
}

/// How often to ask again, and when.
struct Backoff {
    /// Tries without a byte of progress.
    static let tries = 5
    /// A longer wait is the user's to decide on, in seconds.
    private static let longestWait = 300

    private(set) var failures = 0

    mutating func reset() { failures = 0 }

    /// Waits for the next try, or throws where it was the last one.
    mutating func wait(after error: HubError, tries: Int = Self.tries) throws(HubError) {
        failures += 1
        guard case .transient(_, let seconds, let subject) = error, failures < tries else { throw error }
        if let seconds, seconds > Self.longestWait {
            throw .transient("the Hub asks for a pause of \(seconds) s", subject: subject)
        }
        Thread.sleep(forTimeInterval: seconds.map(Double.init) ?? 0.5 * Double(1 << (failures - 1)))
    }
}
