import Foundation
import Kernels

/// A row of the kernels' table that this machine can run.
public struct InstructionSet: @unchecked Sendable {
    /// `scalar`, `avx2`, `avx512` or `avx512vnni`.
    public let name: String
    let kernels: UnsafePointer<apus_kernels>

    /// Those the host has, best last.
    public static let available: [InstructionSet] = (0..<apus_kernels_count())
        .filter { apus_kernels_supported($0) != 0 }
        .map { InstructionSet(kernels: apus_kernels_at($0)!) }

    /// The best one, or the one that `APUS_FORCE_ISA` names.
    public static func select(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(InputError) -> InstructionSet {
        guard let forced = environment["APUS_FORCE_ISA"], !forced.isEmpty else { return available.last! }
        if let found = available.first(where: { $0.name == forced }) { return found }
        let known = (0..<apus_kernels_count()).map { String(cString: apus_kernels_at($0)!.pointee.isa) }
        throw InputError(
            "APUS_FORCE_ISA", known.contains(forced)
                ? "\(forced) is not supported by this CPU, which has \(available.map(\.name).joined(separator: ", "))"
                : "\(forced) is unknown; known are \(known.joined(separator: ", "))")
    }

    private init(kernels: UnsafePointer<apus_kernels>) {
        self.kernels = kernels
        name = String(cString: kernels.pointee.isa)
    }
}
