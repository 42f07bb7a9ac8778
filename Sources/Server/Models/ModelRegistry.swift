import Hummingbird
import Synchronization

/// The models that are served now. A request reads them once, and what it read stays as it was: a change is one step.
final class ModelRegistry: Sendable {
    struct Models: Sendable {
        /// In the order in which they were named.
        var served: [ServedModel] = []
        /// Whose requests are those that name no model.
        var defaultName = ""
        /// Who answers a share of them instead.
        var canary: Canary?
        /// Who reads what the default model has answered.
        var shadow: Shadow?

        var standard: ServedModel? { served.first { $0.names.name == defaultName } }

        /// By its name, or by another one that only one of them has; nil where there is none.
        func find(_ asked: String) -> ServedModel? {
            if let model = served.first(where: { $0.names.name == asked }) { return model }
            let others = served.filter { $0.names.aliases.contains(asked) }
            return others.count == 1 ? others[0] : nil
        }

        /// The one that is asked for; nil asks for the default.
        func model(_ asked: String?) throws(RequestError) -> ServedModel {
            guard let asked else {
                if let standard { return standard }
                throw .notReady("the default model \"\(defaultName)\" is not loaded; \(listed)")
            }
            if let model = find(asked) { return model }
            throw RequestError(.notFound, "not_found", "there is no model \"\(asked)\"; \(listed)")
        }

        /// The one that answers whoever has this key and names no model: the default model or the canary.
        func model(for key: @autoclosure () -> String) throws(RequestError) -> ServedModel {
            if let canary, canary.takes(key()), let model = find(canary.name), standard != nil { return model }
            return try model(nil)
        }

        /// What the model of this name is for; nil for nothing but itself.
        func role(of name: String) -> ModelRole? {
            if let canary, canary.name == name { return .canary(share: canary.share) }
            if let shadow, shadow.model.names.name == name { return .shadow(share: shadow.share) }
            return nil
        }

        /// From now on the model of this name is for nothing but itself.
        mutating func endRole(of name: String) {
            if canary?.name == name { canary = nil }
            if shadow?.model.names.name == name { shadow = nil }
        }

        /// The one in the path.
        func model(of context: ApusRequestContext) throws(RequestError) -> ServedModel {
            try model(context.modelInPath ?? "")
        }

        private var listed: String {
            let names = served.map { "\"\($0.names.name)\"" }.joined(separator: ", ")
            return names.isEmpty ? "this server has none" : "this server has \(names)"
        }

        /// Puts a model where the one of its name is, or behind the others; the first of all is the default.
        mutating func put(_ model: ServedModel) {
            if served.isEmpty { defaultName = model.names.name }
            if let index = served.firstIndex(where: { $0.names.name == model.names.name }) {
                served[index] = model
            } else {
                served.append(model)
            }
        }
    }

    private let models: Mutex<Models>

    init(_ models: Models) { self.models = Mutex(models) }

    var current: Models { models.withLock { $0 } }

    /// In one step. What is there no more is freed outside of the lock, behind which requests would wait.
    func change(_ body: (inout Models) -> Void) {
        _ = models.withLock { models in
            let before = models
            body(&models)
            return before
        }
    }
}

extension ApusRequestContext {
    /// What a path says for `{model}`.
    var modelInPath: String? { parameters.get("model").map { $0.removingPercentEncoding ?? "" } }
}
