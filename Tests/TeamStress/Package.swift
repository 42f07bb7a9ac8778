// swift-tools-version: 6.1
// The team's own workers, pressed hard under ThreadSanitizer: `make test-sanitized`.
import PackageDescription

let package = Package(
    name: "team-stress",
    platforms: [.macOS(.v15)],
    targets: [
        .target(name: "Team", path: "Kernels", sources: ["parallel"], cSettings: [.unsafeFlags(["-g", "-O1"])]),
        .executableTarget(
            name: "team-stress", dependencies: ["Team"], path: "Stress", cSettings: [.unsafeFlags(["-g", "-O1"])]),
    ]
)
