/// `config.json`'s settings, each of a known type, with errors that name the setting. One that is missing or null has its
/// default, as in Transformers' class for it.
package struct ConfigSettings: Sendable {
    let json: JSONValue
    /// What the names of a section's settings are behind, for messages.
    private let path: String
    /// What messages end with: the next step.
    private let advice: String

    init(_ json: JSONValue, path: String = "", advice: String = "") {
        self.json = json
        self.path = path
        self.advice = advice
    }

    func has(_ name: String) -> Bool { self[name] != nil }

    private subscript(name: String) -> JSONValue? {
        guard let value = json[name], !value.isNull else { return Optional.none }
        return value
    }

    static func written(_ value: JSONValue) -> String { String(decoding: value.serialized(), as: UTF8.self) }

    func error(_ problem: String) -> InputError { InputError("config.json", path + problem + advice) }

    func size(_ name: String, default standard: Int, maximum: Int, minimum: Int = 1) throws(InputError) -> Extent {
        guard let value = self[name] else { return Extent(standard, name) }
        guard let size = value.integer, minimum...maximum ~= size else {
            throw error("\(name) must be a whole number from \(minimum) to \(maximum), not \(Self.written(value))")
        }
        return Extent(size, name)
    }

    /// nil where the setting is missing.
    func integer(_ name: String, in range: ClosedRange<Int>) throws(InputError) -> Int? {
        guard let value = self[name] else { return nil }
        guard let number = value.integer, range ~= number else {
            throw error(
                "\(name) must be a whole number from \(range.lowerBound) to \(range.upperBound), not \(Self.written(value))")
        }
        return number
    }

    func epsilon(_ name: String, default standard: Double) throws(InputError) -> Float {
        guard let value = self[name] else { return Float(standard) }
        guard let epsilon = value.double, epsilon > 0, epsilon < 1 else {
            throw error("\(name) must be a number between 0 and 1, not \(Self.written(value))")
        }
        return Float(epsilon)
    }

    /// A number above zero.
    func positive(_ name: String, default standard: Double) throws(InputError) -> Double {
        guard let value = self[name] else { return standard }
        guard let number = value.double, number > 0, number.isFinite else {
            throw error("\(name) must be a number above 0, not \(Self.written(value))")
        }
        return number
    }

    func flag(_ name: String, default standard: Bool) throws(InputError) -> Bool {
        guard let value = self[name] else { return standard }
        guard let flag = value.bool else { throw error("\(name) must be true or false, not \(Self.written(value))") }
        return flag
    }

    func activation(_ name: String, default standard: String) throws(InputError) -> Activation {
        let value = self[name] ?? .string(standard)
        guard let activation = value.string.flatMap(Activation.init(named:)) else {
            throw error(
                "\(name) \(Self.written(value)) is not supported; supported: \(Activation.names.joined(separator: ", "))")
        }
        return activation
    }

    func text(_ name: String, oneOf allowed: [String], default standard: String) throws(InputError) -> String {
        guard let value = self[name] else { return standard }
        guard let found = value.string, allowed.contains(found) else {
            throw error(
                "\(name) \(Self.written(value)) is not supported; supported: \(allowed.joined(separator: ", "))")
        }
        return found
    }

    func strings(_ name: String) throws(InputError) -> [String]? {
        guard let value = self[name] else { return nil }
        guard let values = value.array, values.allSatisfy({ $0.string != nil }) else {
            throw error("\(name) must be a list of names, not \(Self.written(value))")
        }
        return values.compactMap(\.string)
    }

    /// A list, or names with | between them, in lower case; none where the setting is missing.
    func names(_ name: String) throws(InputError) -> [String] {
        guard let value = self[name] else { return [] }
        guard let text = value.string else { return try strings(name)!.map { $0.lowercased() } }
        return text.lowercased().split(separator: "|").map { $0.filter { $0 != " " } }
    }

    /// The settings under `name`.
    ///
    /// - Parameter advice: what messages about them end with.
    func section(_ name: String, advice: String? = nil) throws(InputError) -> ConfigSettings? {
        guard let value = self[name] else { return nil }
        guard value.object != nil else { throw error("\(name) must be an object, not \(Self.written(value))") }
        return ConfigSettings(value, path: "\(path)\(name).", advice: advice ?? self.advice)
    }

    /// Refuses flags that make another model of it.
    func requireFalse(_ names: String..., because reason: String) throws(InputError) {
        for name in names where json[name]?.bool == true {
            throw error("\(name) true is not supported; \(reason)")
        }
    }
}
