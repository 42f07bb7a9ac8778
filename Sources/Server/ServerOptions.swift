/// What clients may ask for, and how long things may take.
public struct ServerLimits: Sendable {
    /// The largest body of a request.
    public var bodyBytes = 2 << 20
    /// The most texts of one request.
    public var clientBatch = 128
    /// The most texts that wait for the model at once; a request beyond is refused.
    public var queuedTexts = 1024
    /// The most tokens of one forward pass; nil for what the model's passes take.
    public var batchTokens: Int?
    /// The most connections open at once; one beyond takes the place of one that has kept the server waiting, or is there for
    /// one request of a supervisor.
    public var connections = 1024
    /// From a request's head to its answer.
    public var requestTimeout = Duration.seconds(30)
    /// How long a request may take to arrive, from its first byte to its last one.
    public var readTimeout = Duration.seconds(20)
    /// How long a connection may do nothing between requests, and how long a client may take to read an answer.
    public var idleTimeout = Duration.seconds(75)
    /// For what was accepted, after SIGTERM.
    public var gracePeriod = Duration.seconds(20)

    public init() {}
}

/// Who may use what.
public struct ServerAccess: Sendable {
    /// What clients send as `Authorization: Bearer KEY`; nil where everybody may use everything.
    public var apiKey: String?
    /// Whether metrics and pages ask for the key too. Health never does.
    public var protectsEverything = false
    /// The origins whose pages may read answers in a browser; `*` is every one.
    public var allowedOrigins: [String] = []

    public init() {}
}

/// The sliding window of predictions that are compared with the model's reference profile.
public struct DriftWindow: Sendable {
    /// The most predictions.
    public var samples = 10_000
    /// The oldest prediction.
    public var age = Duration.seconds(86_400)
    /// With fewer, nothing is published.
    public var minimumSamples = 500

    public init() {}
}

/// What is remembered of answers, so that feedback can be given to them.
public struct FeedbackOptions: Sendable {
    /// The most answers that are remembered; 0 for none, and no feedback.
    public var answers = 262_144
    /// How long feedback counts for live accuracy.
    public var window = Duration.seconds(86_400)
    /// Where answers and feedback outlive a restart; nil for nowhere.
    public var directory: String?

    public init() {}
}

/// Which texts are kept for the next training, and for how long.
public struct RecordOptions: Sendable {
    public var directory: String
    /// Of the requests, over 0, up to 1.
    public var share: Double
    /// A file that is larger is followed by another one.
    public var fileBytes = 64 << 20
    /// A text is deleted before it is older.
    public var timeToLive = Duration.seconds(30 * 86_400)

    public init(directory: String, share: Double = 1) {
        self.directory = directory
        self.share = share
    }
}

/// Paths of a platform's own choosing, beside those that the server has.
public struct ServerPaths: Sendable {
    /// Answers as `GET /health`.
    public var health: String?
    /// Answers as `POST /predict`.
    public var predict: String?

    public init() {}
}

public struct ServerOptions: Sendable {
    public var limits = ServerLimits()
    public var access = ServerAccess()
    public var drift = DriftWindow()
    public var feedback = FeedbackOptions()
    /// nil where no text is kept.
    public var records: RecordOptions?
    public var paths = ServerPaths()
    /// Where texts are kept that a shadow calls something else than the model that answered; nil for nowhere.
    public var shadowLog: String?
    /// What the model is called in a path; nil for the last part of its id.
    public var modelName: String?

    public init(limits: ServerLimits = ServerLimits()) { self.limits = limits }
}
