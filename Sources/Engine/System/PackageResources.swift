import Foundation

/// Files that SwiftPM puts beside the executable. `Bundle.module` would end the process where they are missing.
package enum PackageResources {
    /// The folder of a target's resources.
    package static func folder(of target: String) -> URL {
        #if os(Linux)
            return Bundle.main.bundleURL.appendingPathComponent("apus_\(target).resources")
        #else
            let bundle = Bundle.main.bundleURL.appendingPathComponent("apus_\(target).bundle")
            return Bundle(url: bundle)?.resourceURL ?? bundle
        #endif
    }
}
