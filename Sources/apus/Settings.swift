import Engine
import Foundation

/// Values from the command line, else from the environment, else none; out of bounds is an error that names where it was.
struct Settings {
    private let environment = ProcessInfo.processInfo.environment

    static func name(_ option: String) -> String {
        "APUS_" + option.dropFirst(2).uppercased().replacing("-", with: "_")
    }

    private func variable(_ option: String) -> (name: String, value: String)? {
        let name = Self.name(option)
        // An empty variable is one that was not set: compose files and unit files leave such behind.
        return environment[name].flatMap { $0.isEmpty ? nil : (name, $0) }
    }

    func value<Number: Comparable & LosslessStringConvertible>(
        _ given: Number?, _ option: String, _ range: ClosedRange<Number>
    ) throws(InputError) -> Number? {
        let (place, value): (String, Number)
        if let given {
            (place, value) = (option, given)
        } else if let variable = variable(option) {
            guard let number = Number(variable.value) else {
                throw InputError(
                    variable.name, "is \"\(variable.value)\", not a number from \(range.lowerBound) to \(range.upperBound)")
            }
            (place, value) = (variable.name, number)
        } else {
            return nil
        }
        guard range.contains(value) else {
            throw InputError(place, "must be from \(range.lowerBound) to \(range.upperBound), not \(value)")
        }
        return value
    }

    func set(_ target: inout Int, _ given: Int?, _ option: String, _ range: ClosedRange<Int>) throws(InputError) {
        if let value = try value(given, option, range) { target = value }
    }

    /// Seconds, from a millisecond to a year.
    func set(_ target: inout Duration, _ given: Double?, _ option: String) throws(InputError) {
        if let value = try value(given, option, 0.001...31_536_000) { target = .seconds(value) }
    }

    func text(_ given: String?, _ option: String) throws(InputError) -> String? {
        if let given {
            // An unset variable in a script must not open what was to be closed.
            guard !given.isEmpty else { throw InputError(option, "is empty; give a value, or leave it out") }
            return given
        }
        return variable(option)?.value
    }

    /// An unset variable in a script must not open what was to be closed, by the environment either.
    func requireNonempty(_ option: String) throws(InputError) {
        let name = Self.name(option)
        if environment[name]?.isEmpty == true { throw InputError(name, "is empty; give a value, or unset it") }
    }

    func flag(_ given: Bool, _ option: String) throws(InputError) -> Bool {
        guard !given, let variable = variable(option) else { return given }
        switch variable.value.lowercased() {
        case "1", "true", "yes", "on": return true
        case "0", "false", "no", "off": return false
        default: throw InputError(variable.name, "is \"\(variable.value)\"; it must be true or false")
        }
    }

    func choice<Value: RawRepresentable<String>>(
        _ given: Value?, _ option: String, _ all: [Value]
    ) throws(InputError) -> Value? {
        guard given == nil, let variable = variable(option) else { return given }
        guard let value = Value(rawValue: variable.value) else {
            throw InputError(
                variable.name, "is \"\(variable.value)\"; it must be one of \(all.map(\.rawValue).joined(separator: ", "))")
        }
        return value
    }
}
