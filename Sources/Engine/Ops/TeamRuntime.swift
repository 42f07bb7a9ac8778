import Foundation

/// What runs a team's threads.
package enum TeamRuntime: String, CaseIterable, Sendable {
    /// Workers of the team's own.
    case pthreads
    /// LLVM's OpenMP runtime, libomp.
    case openmp

    /// The one that `APUS_TEAM` names, else `pthreads`.
    package static func select(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(InputError) -> TeamRuntime {
        guard let name = environment["APUS_TEAM"], !name.isEmpty else { return .pthreads }
        if let found = TeamRuntime(rawValue: name) { return found }
        throw InputError(
            "APUS_TEAM", "\(name) is unknown; known are \(allCases.map(\.rawValue).joined(separator: ", "))")
    }
}
