import Dispatch
import Engine
import Logging
import Synchronization

/// A model that answers a share of the default model's requests, until somebody raises its share or its figures speak against
/// it: then its share is 0.
final class Canary: Sendable {
    enum State: String, CaseIterable {
        case running
        case rolledBack = "rolled_back"
    }

    let name: String
    private let given: Double
    private let metrics: ServerMetrics
    private let logger: Logger
    private let figures: Mutex<Figures>

    private struct Figures {
        var own = CanaryFigures()
        var standard = CanaryFigures()
        var objection: CanaryObjection?
        var lastJudged = ContinuousClock.now
    }

    init(_ name: String, share: Double, metrics: ServerMetrics, logger: Logger) {
        self.name = name
        given = share
        self.metrics = metrics
        self.logger = logger
        figures = Mutex(Figures())
    }

    var state: State { figures.withLock { $0.objection == nil ? .running : .rolledBack } }

    /// Of the requests that name no model.
    var share: Double { state == .running ? given : 0 }

    /// Whether it answers whoever has this key.
    func takes(_ key: String) -> Bool { RequestShare.takes(key, share, for: "canary") }

    /// Notes what became of a request that it or the default model got; from time to time it is judged by that.
    ///
    /// - Parameters:
    ///   - labels: of the request's texts; nil where it failed.
    ///   - models: the canary and the default model.
    func record(
        _ labels: [String]?, in duration: Duration, isOwn: Bool, _ models: (own: ServedModel, standard: ServedModel)
    ) {
        let now = ContinuousClock.now
        let isDue = figures.withLock { figures in
            func note(_ side: inout CanaryFigures) {
                if let labels { side.answered(labels, in: duration) } else { side.failed() }
            }
            if isOwn { note(&figures.own) } else { note(&figures.standard) }
            guard figures.objection == nil, now - figures.lastJudged > .seconds(1) else { return false }
            figures.lastJudged = now
            return true
        }
        // Elsewhere, as it takes milliseconds.
        if isDue { DispatchQueue.global(qos: .utility).async { self.judge(models.own, models.standard) } }
    }

    private func judge(_ own: ServedModel, _ standard: ServedModel) {
        let live = own.memory?.feedback.live() ?? [:]
        let objection = figures.withLock { figures -> CanaryObjection? in
            guard figures.objection == nil else { return nil }
            figures.objection = figures.own.objection(
                against: figures.standard, accuracy: own.accuracy(live), standardAccuracy: standard.accuracy(live))
            return figures.objection
        }
        guard let objection else { return }
        metrics.canaryRolledBack(objection.reason)
        logger.error(
            "the canary was taken back; the default model answers all requests that name none",
            metadata: [
                "model": .string(own.identity), "reason": .string(objection.reason.rawValue),
                "error": .string(objection.message),
            ])
    }

    var json: JSONValue {
        let figures = figures.withLock { $0 }
        return [
            "name": .string(name), "share": .number(share), "state": .string(state.rawValue),
            "reason": figures.objection.map { .string($0.reason.rawValue) } ?? nil,
            "message": figures.objection.map { .string($0.message) } ?? nil,
            "canary": figures.own.json, "default": figures.standard.json,
        ]
    }
}
