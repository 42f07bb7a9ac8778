import Engine

/// A model that was loaded to be served.
public struct LoadedModel: Sendable {
    let source: ModelSource
    let classifier: Classifier
    let selfTest: SelfTest.Report?

    /// - Parameter selfTest: what `GET /status` tells of it.
    public init(_ classifier: Classifier, from source: ModelSource, selfTest: SelfTest.Report? = nil) {
        self.source = source
        self.classifier = classifier
        self.selfTest = selfTest
    }
}

/// How models are loaded while others are served.
public struct ModelLoading: Sendable {
    /// Loads a model, on threads that it shares with the others; a shadow on one of its own, in the background.
    ///
    /// - Parameter fetches: whether one of the Hub that is not in the cache may be fetched.
    public typealias Load = @Sendable (_ source: ModelSource, _ fetches: Bool) async throws -> Classifier

    let load: Load
    /// The models file that SIGHUP reads again; nil for none.
    let file: String?
    let requiresGate: Bool
    /// Whether clients may load and unload.
    let allowsRequests: Bool

    public init(file: String? = nil, requiresGate: Bool = false, allowsRequests: Bool = false, load: @escaping Load) {
        self.file = file
        self.requiresGate = requiresGate
        self.allowsRequests = allowsRequests
        self.load = load
    }
}

/// Why a model was not loaded; what was served before still is.
struct ModelLoadFailure: Error {
    enum Reason: String, CaseIterable {
        /// There is no model of that name.
        case unknown
        /// What is said of the model cannot be understood, or is not allowed.
        case request
        case modelsFile = "models_file"
        /// The model's files are not there, damaged, or not for this server.
        case source
        case gate
        case selfTest = "self_test"
    }

    let reason: Reason
    let message: String
}
