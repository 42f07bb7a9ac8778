// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "apus",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "apus", targets: ["apus"]),
        .library(name: "Engine", targets: ["Engine"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .target(
            name: "Kernels",
            linkerSettings: [.linkedLibrary("omp5", .when(platforms: [.linux]))]
        ),
        .target(
            name: "Engine",
            dependencies: ["Kernels", "COpenBLAS", .product(name: "Crypto", package: "swift-crypto")],
            resources: [.copy("Resources/Model")]
        ),
        .target(
            name: "Server",
            dependencies: [
                "Engine",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]
        ),
        .executableTarget(
            name: "apus",
            dependencies: [
                "Engine",
                "Server",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]
        ),
        .testTarget(name: "KernelsTests", dependencies: ["Kernels"]),
        .testTarget(
            name: "EngineTests",
            dependencies: ["Engine", "AllocationCounter"],
            exclude: ["Fixtures"]
        ),
        .target(name: "AllocationCounter", path: "Tests/AllocationCounter"),
        .testTarget(name: "ExampleTests", dependencies: ["Engine"], packageAccess: false),
        .testTarget(
            name: "ServerTests",
            dependencies: [
                "Server",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "HummingbirdTesting", package: "hummingbird"),
            ]
        ),
        .testTarget(name: "CLITests", dependencies: ["apus"]),
    ],
    swiftLanguageModes: [.v6]
)
