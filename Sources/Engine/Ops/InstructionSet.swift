import Foundation
import Kernels

/// A row of the kernels' table that this machine can run.
public struct InstructionSet: @unchecked Sendable {
    /// `scalar`, `avx2`, `avx512` or `avx512vnni`.
    public let name: String
    let kernels: UnsafePointer<apus_kernels>

    /// Whether f32 products would be emulated, fused step by fused step: on x86 without FMA, where nobody asked for it.
    let lacksProducts: Bool

    /// Those the host has, best last.
    public static let available: [InstructionSet] = (0..<apus_kernels_count())
        .filter { apus_kernels_supported($0) != 0 }
        .map { InstructionSet(kernels: apus_kernels_at($0)!) }

    /// The best one, or the one that `APUS_FORCE_ISA` names.
    public static func select(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(InputError) -> InstructionSet {
        guard let forced = environment["APUS_FORCE_ISA"], !forced.isEmpty else {
            return InstructionSet(kernels: available.last!.kernels, wasChosen: false)
        }
        if let found = available.first(where: { $0.name == forced }) { return found }
        let known = (0..<apus_kernels_count()).map { String(cString: apus_kernels_at($0)!.pointee.isa) }
        throw InputError(
            "APUS_FORCE_ISA",
            known.contains(forced)
                ? "\(forced) is not supported by this CPU, which has \(available.map(\.name).joined(separator: ", "))"
                : "\(forced) is unknown; known are \(known.joined(separator: ", "))")
    }

    private init(kernels: UnsafePointer<apus_kernels>, wasChosen: Bool = true) {
        self.kernels = kernels
        #if arch(x86_64)
            lacksProducts = !wasChosen && String(cString: kernels.pointee.gemm_f32_isa) == "scalar"
        #else
            lacksProducts = false
        #endif
        name = String(cString: kernels.pointee.isa)
    }
}
