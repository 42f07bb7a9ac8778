// swift-tools-version: 6.1
import PackageDescription

// Benchmarks measure what is `package` in Apus, too: forward passes without a classifier around them, the server without a
// port. SwiftPM calls a package after its folder.
let apus = Context.packageDirectory.split(separator: "/").dropLast().last!.lowercased()
    .map { $0.isASCII && ($0.isLetter || $0.isNumber) ? String($0) : "_" }.joined()

let package = Package(
    name: "apus-benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "apus", path: ".."),
        // Without its traits: their interposers count nothing here; AllocationCounter does.
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    ],
    targets: [
        .systemLibrary(
            name: "COpenBLAS", path: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .executableTarget(
            name: "ApusBenchmarks",
            dependencies: [
                "COpenBLAS",
                .product(name: "AllocationCounter", package: "apus"),
                .product(name: "Engine", package: "apus"),
                .product(name: "Kernels", package: "apus"),
                .product(name: "Server", package: "apus"),
                .product(name: "Benchmark", package: "benchmark"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "HummingbirdTesting", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            path: "Benchmarks/ApusBenchmarks",
            packageAccess: false,  // SwiftPM's own name of this package would come after Apus'
            // The framework's closures are not Sendable; each runs alone.
            swiftSettings: [.unsafeFlags(["-package-name", apus]), .swiftLanguageMode(.v5)],
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]
        ),
    ],
    swiftLanguageModes: [.v6]
)
