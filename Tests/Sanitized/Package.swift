// swift-tools-version: 6.1
// The kernels and their tests once more, under AddressSanitizer and UndefinedBehaviorSanitizer: `make test-sanitized`.
import PackageDescription

let package = Package(
    name: "sanitized",
    platforms: [.macOS(.v15)],
    targets: [
        .target(
            name: "Kernels",
            path: "Kernels",
            cSettings: [.unsafeFlags(["-fsanitize=undefined", "-fno-sanitize-recover=undefined", "-g", "-O1"])]
        ),
        .testTarget(
            name: "KernelsTests", dependencies: ["Kernels"], path: "KernelsTests", swiftSettings: [.define("SANITIZED")]),
    ],
    swiftLanguageModes: [.v6]
)
