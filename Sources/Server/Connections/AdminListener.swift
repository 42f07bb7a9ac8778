import NIOPosix
import ServiceLifecycle

/// Where a server listens.
public struct ServerAddress: Sendable {
    public let host: String
    /// 0 takes a free one.
    public let port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }
}

/// What supervisors ask for, on a port and a thread of its own: a probe waits behind no other connection and no request.
struct AdminListener: Service {
    /// More are displaced, as on the other port.
    static let connections = 64

    let server: ApusServer
    let address: ServerAddress

    func run() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let result: Result<Void, any Error>
        do {
            result = .success(try await server.adminApplication(address, on: group).run())
        } catch {
            result = .failure(error)
        }
        try await group.shutdownGracefully()
        try result.get()
    }
}
