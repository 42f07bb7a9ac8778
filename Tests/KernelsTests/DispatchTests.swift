import Foundation
import Kernels
import Testing

@Suite struct DispatchTests {
    // These say by being skipped which sets the other tests could not run.
    @Test(.needs("avx2")) func `the avx2 kernels are tested`() { expectTested("avx2") }
    @Test(.needs("avx512")) func `the avx512 kernels are tested`() { expectTested("avx512") }
    @Test(.needs("avx512vnni")) func `the avx512vnni kernels are tested`() { expectTested("avx512vnni") }

    private func expectTested(_ isa: String) { #expect(KernelRow.supported.contains { $0.testDescription == isa }) }

    @Test func `the table begins with scalar, which every CPU runs, and names each set once`() {
        let names = KernelRow.all.map(\.testDescription)
        #expect(names.first == "scalar")
        #expect(KernelRow.all[0].isSupported)
        #expect(Set(names).count == names.count)
    }

    @Test(arguments: KernelRow.all)
    func `each set has its own int8 product, and the f32 product of the widest registers it has`(_ row: KernelRow) {
        let isa = row.testDescription
        #expect(String(cString: row.kernels.gemm_u8s8_isa) == isa)
        #expect(String(cString: row.kernels.gemm_f32_isa) == (isa == "avx512vnni" ? "avx512" : isa))
    }

    @Test func `the rows share no int8 kernel, and only avx512vnni shares its f32 kernels`() {
        func addresses<Function>(_ kernel: (apus_kernels) -> Function) -> [Int] {
            KernelRow.all.map { unsafeBitCast(kernel($0.kernels), to: Int.self) }
        }
        #expect(Set(addresses(\.gemm_u8s8)).count == KernelRow.all.count)
        #expect(Set(addresses(\.attention_u8s8)).count == KernelRow.all.count)
        let shared = KernelRow.all.contains { $0.testDescription == "avx512vnni" } ? 1 : 0
        for kernels in [
            addresses(\.gemm_f32), addresses(\.attention_f32), addresses(\.layernorm_f32), addresses(\.quantize_u8),
        ] {
            #expect(Set(kernels).count == KernelRow.all.count - shared)
            #expect(shared == 0 || kernels[kernels.count - 1] == kernels[kernels.count - 2])
        }
    }

    #if arch(x86_64) && os(Linux)
        @Test func `a set is supported where the kernel's list of CPU features has what it needs`() throws {
            let cpu = try String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)
            let line = try #require(cpu.split(separator: "\n").first { $0.hasPrefix("flags") })
            let flags = Set(line.split(separator: " ").map(String.init))
            let wide = ["avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl"]
            let needs = [
                "scalar": [], "avx2": ["avx2", "fma"], "avx512": wide, "avx512vnni": wide + ["avx512_vnni"],
            ]
            for row in KernelRow.all {
                let needed = try #require(needs[row.testDescription])
                #expect(row.isSupported == flags.isSuperset(of: needed), "\(row.testDescription)")
            }
        }
    #endif

    @Test(arguments: KernelRow.supported)
    func `the peaks count what they do`(_ row: KernelRow) {
        for peak in [row.kernels.peak_u8s8!, row.kernels.peak_f32!] {
            let once = peak(1)
            #expect(once > 0 && peak(10) == 10 * once && peak(0) == 0)
        }
    }
}
