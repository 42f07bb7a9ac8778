import Foundation
import Kernels

/// A row of the kernels' table that this machine can run.
public struct InstructionSet: @unchecked Sendable {
    /// `scalar`, `avx2`, `avxvnni`, `avx512`, `avx512vnni`, `avx512amx`, `neon`, `neon_dotprod` or `neon_i8mm`.
    public let name: String
    let kernels: UnsafePointer<apus_kernels>

    /// Whether f32 products would be emulated, fused step by fused step: on x86 without FMA, where nobody asked for it.
    let lacksProducts: Bool

    /// Those the host has, best last.
    public static let available: [InstructionSet] = (0..<apus_isa_count())
        .filter { apus_isa_runs($0, apus_cpu_features()) != 0 }
        .compactMap { InstructionSet($0) }

    /// Why something that the CPU has is not used: Linux may refuse AMX.
    public static var note: String? { apus_cpu_note().map { String(cString: $0) } }

    /// The best one, or the one that `APUS_FORCE_ISA` names.
    public static func select(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(InputError) -> InstructionSet {
        guard let forced = environment["APUS_FORCE_ISA"], !forced.isEmpty else {
            return InstructionSet(apus_isa_choice(apus_cpu_features()), wasChosen: false)!
        }
        if let found = available.first(where: { $0.name == forced }) { return found }
        let known = (0..<apus_isa_count()).map { String(cString: apus_isa_name($0)) }
        throw InputError(
            "APUS_FORCE_ISA",
            known.contains(forced)
                ? "\(forced) is not supported by this CPU, which has \(available.map(\.name).joined(separator: ", "))"
                : "\(forced) is unknown; known are \(known.joined(separator: ", "))")
    }

    /// Nil for a row of another architecture.
    private init?(_ index: Int, wasChosen: Bool = true) {
        guard let kernels = apus_isa_kernels(index) else { return nil }
        self.kernels = kernels
        #if arch(x86_64)
            lacksProducts = !wasChosen && String(cString: kernels.pointee.f32_isa) == "scalar"
        #else
            lacksProducts = false
        #endif
        name = String(cString: kernels.pointee.isa)
    }
}
