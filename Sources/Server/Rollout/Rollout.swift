import Engine
import Logging

/// Puts models into their roles.
struct Rollout: Sendable {
    let metrics: ServerMetrics
    let logger: Logger
    /// Where texts are kept that a shadow calls something else.
    let shadowLog: ShadowLog?

    /// Models that are served from the start, or instead of all others; the first is the default.
    func models(_ served: [ServedModel], _ sources: [ModelSource]) throws(InputError) -> ModelRegistry.Models {
        var models = ModelRegistry.Models()
        for (model, source) in zip(served, sources) { try put(model, as: source.role, into: &models) }
        return models
    }

    /// Puts a model where the one of its name is, or behind the others, and into its role: nil for none. A canary that gets
    /// all of the requests is the default model from then on, and the one before keeps its name. Throws where the role is
    /// another model's.
    func put(_ model: ServedModel, as role: ModelRole?, into models: inout ModelRegistry.Models) throws(InputError) {
        let name = model.names.name
        try check(name, role, models)
        let standard = models.standard
        if role != nil, let standard, standard.names.name != name, standard.classifier.labels != model.classifier.labels {
            throw InputError(
                name,
                "has the labels \(model.classifier.labels.joined(separator: ", ")); the default model, \(models.defaultName), "
                    + "has \(standard.classifier.labels.joined(separator: ", ")), which is what its clients understand")
        }
        models.put(model)
        models.endRole(of: name)
        switch role {
        case nil: break
        case .canary(share: 1): models.defaultName = name
        case .canary(let share): models.canary = Canary(name, share: share, metrics: metrics, logger: logger)
        case .shadow(let share): models.shadow = Shadow(model, share: share, metrics: metrics, log: shadowLog)
        }
    }

    /// Throws where the role is another model's, or the default model is to have one.
    func check(_ name: String, _ role: ModelRole?, _ models: ModelRegistry.Models) throws(InputError) {
        guard let role, role != .canary(share: 1) else { return }
        guard !models.defaultName.isEmpty, name != models.defaultName else {
            throw InputError(
                name, "is the default model, which answers whatever the others leave; give the share to another one")
        }
        if role.isShadow, let shadow = models.shadow?.model.names.name, shadow != name {
            throw InputError(name, "cannot be the shadow: \"\(shadow)\" is. Unload that one first")
        }
        if !role.isShadow, let canary = models.canary, canary.name != name, canary.share > 0 {
            throw InputError(name, "cannot be the canary: \"\(canary.name)\" is. Set its share to 0% first")
        }
    }
}
