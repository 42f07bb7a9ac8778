import Foundation
import Kernels
import Testing

@Suite struct DispatchTests {
    // By being skipped they say which sets the other tests could not run.
    #if arch(x86_64)
        @Test(.needs("avx2")) func `avx2 runs here`() { expectScalarBits("avx2") }
        @Test(.needs("avxvnni")) func `avxvnni runs here`() { expectScalarBits("avxvnni") }
        @Test(.needs("avx512")) func `avx512 runs here`() { expectScalarBits("avx512") }
        @Test(.needs("avx512vnni")) func `avx512vnni runs here`() { expectScalarBits("avx512vnni") }
        @Test(.needs("avx512amx")) func `avx512amx runs here`() { expectScalarBits("avx512amx") }
    #elseif arch(arm64)
        @Test(.needs("neon")) func `neon runs here`() { expectScalarBits("neon") }
        @Test(.needs("neon_dotprod")) func `neon_dotprod runs here`() { expectScalarBits("neon_dotprod") }
        @Test(.needs("neon_i8mm")) func `neon_i8mm runs here`() { expectScalarBits("neon_i8mm") }
    #endif

    private func expectScalarBits(_ isa: String) {
        let rows = [KernelRow.all[0], KernelRow.supported.first { $0.testDescription == isa }!]
        let (q, kv) = (random(33 * 20, seed: 3), random(70 * 20, seed: 4))
        let found = rows.map { row in
            row.kernels.thread_begin?()
            var out = [Float](repeating: 0, count: 33 * 20)
            var scratch = [Float](repeating: 0, count: row.kernels.attention_u8s8_scratch(70, 20))
            row.kernels.attention_u8s8(q, 20, 33, kv, kv, 20, 70, 20, 0.2, nil, &scratch, &out, 20)
            row.kernels.thread_end?()
            return out
        }
        #expect(found[0] == found[1])
    }

    @Test func `the table begins with scalar, which every machine runs, and names each set once`() {
        let names = KernelRow.all.map(\.testDescription)
        #expect(names.first == "scalar")
        #expect(apus_isa_runs(0, 0) != 0 && apus_isa_kernels(0) != nil)
        #expect(Set(names).count == names.count)
    }

    @Test(arguments: KernelRow.built)
    func `a row's kernels are those of its name, and its f32 kernels those of the row that it names`(_ row: KernelRow) throws
    {
        #expect(String(cString: row.kernels.isa) == row.testDescription)
        let name = String(cString: row.kernels.f32_isa)
        let owner = try #require(KernelRow.built.first { $0.testDescription == name })
        #expect(String(cString: owner.kernels.f32_isa) == name)
        func addresses(_ kernels: apus_kernels) -> [Int] {
            [
                unsafeBitCast(kernels.gemm_f32, to: Int.self), unsafeBitCast(kernels.attention_f32, to: Int.self),
                unsafeBitCast(kernels.layernorm_f32, to: Int.self), unsafeBitCast(kernels.quantize_u8, to: Int.self),
                unsafeBitCast(kernels.attention_f32_scratch, to: Int.self), Int(kernels.rows_f32),
            ]
        }
        #expect(addresses(row.kernels) == addresses(owner.kernels))
    }

    @Test func `no two rows share an int8 kernel`() {
        func addresses<Function>(_ kernel: (apus_kernels) -> Function) -> Set<Int> {
            Set(KernelRow.built.map { unsafeBitCast(kernel($0.kernels), to: Int.self) })
        }
        #expect(addresses(\.gemm_u8s8).count == KernelRow.built.count)
        #expect(addresses(\.attention_u8s8).count == KernelRow.built.count)
        #expect(addresses(\.pack_s8).count == KernelRow.built.count)
    }

    @Test(arguments: KernelRow.built)
    func `steps are padded within a cache line, as rows of activations are`(_ row: KernelRow) {
        #expect([1, 2, 4, 8, 16, 32, 64].contains(row.kernels.inner_step))
    }

    /// What a machine has, and the set that it should get: of every kind that there is, whatever this one is.
    private static let machines: [(name: String, features: [apus_feature], choice: String)] = [
        ("an unknown architecture", [], "scalar"),
        ("an x86 without AVX2", [APUS_X86], "scalar"),
        ("an x86 with AVX2 but no FMA", [APUS_X86, APUS_AVX2], "scalar"),
        ("Haswell, Zen 3", [APUS_X86, APUS_AVX2, APUS_FMA], "avx2"),
        ("Alder Lake, Sierra Forest", [APUS_X86, APUS_AVX2, APUS_FMA, APUS_AVXVNNI], "avxvnni"),
        ("Skylake-X", [APUS_X86, APUS_AVX2, APUS_FMA, APUS_AVX512], "avx512"),
        ("AVX-512 and AVX-VNNI alone", [APUS_X86, APUS_AVX2, APUS_FMA, APUS_AVXVNNI, APUS_AVX512], "avx512"),
        ("Cascade Lake, Zen 4", [APUS_X86, APUS_AVX2, APUS_FMA, APUS_AVX512, APUS_AVX512VNNI], "avx512vnni"),
        (
            "Sapphire Rapids whose tiles were refused",
            [APUS_X86, APUS_AVX2, APUS_FMA, APUS_AVXVNNI, APUS_AVX512, APUS_AVX512VNNI], "avx512vnni"
        ),
        (
            "Sapphire Rapids",
            [APUS_X86, APUS_AVX2, APUS_FMA, APUS_AVXVNNI, APUS_AVX512, APUS_AVX512VNNI, APUS_AMX], "avx512amx"
        ),
        (
            "AMX of a hypervisor that hides VNNI", [APUS_X86, APUS_AVX2, APUS_FMA, APUS_AVX512, APUS_AMX], "avx512"
        ),
        ("AMX without AVX-512", [APUS_X86, APUS_AVX2, APUS_FMA, APUS_AMX], "avx2"),
        ("Cortex-A72", [APUS_ARM64], "neon"),
        ("Neoverse N1, Apple M1", [APUS_ARM64, APUS_DOTPROD], "neon_dotprod"),
        ("Neoverse V1, Apple M2", [APUS_ARM64, APUS_DOTPROD, APUS_I8MM], "neon_i8mm"),
        ("i8mm of a hypervisor that hides dotprod", [APUS_ARM64, APUS_I8MM], "neon"),
    ]

    @Test func `each kind of machine gets its best set`() {
        for (name, features, choice) in Self.machines {
            let bits = features.reduce(UInt32(0)) { $0 | UInt32($1.rawValue) }
            #expect(String(cString: apus_isa_name(apus_isa_choice(bits))) == choice, "\(name)")
        }
        #expect(
            Set(Self.machines.map(\.choice)) == Set(KernelRow.all.map(\.testDescription)), "every set is chosen somewhere")
    }

    @Test func `what is chosen runs on the machine, and is in the build`() {
        for features in Self.machines.map(\.features) {
            let bits = features.reduce(UInt32(0)) { $0 | UInt32($1.rawValue) }
            #expect(apus_isa_runs(apus_isa_choice(bits), bits) != 0)
        }
        #expect(apus_isa_kernels(apus_isa_choice(apus_cpu_features())) != nil)
    }

    #if arch(x86_64) && os(Linux)
        @Test func `a feature is there where the kernel's list of CPU features has it`() throws {
            let cpu = try String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)
            let line = try #require(cpu.split(separator: "\n").first { $0.hasPrefix("flags") })
            let flags = Set(line.split(separator: " ").map(String.init))
            let needs: [(apus_feature, [String])] = [
                (APUS_X86, []), (APUS_AVX2, ["avx2"]), (APUS_FMA, ["fma"]), (APUS_AVXVNNI, ["avx_vnni"]),
                (APUS_AVX512, ["avx512f", "avx512bw", "avx512dq", "avx512vl"]), (APUS_AVX512VNNI, ["avx512_vnni"]),
                (APUS_AMX, ["amx_tile", "amx_int8"]),
            ]
            for (feature, flagsOfIt) in needs {
                let isThere = apus_cpu_features() & UInt32(feature.rawValue) != 0
                if feature == APUS_AMX, let note = apus_cpu_note() {
                    #expect(!isThere && flags.isSuperset(of: flagsOfIt), "\(String(cString: note))")
                } else {
                    #expect(isThere == flags.isSuperset(of: flagsOfIt), "\(flagsOfIt)")
                }
            }
        }
    #endif

    @Test(arguments: KernelRow.supported)
    func `the peaks count what they do`(_ row: KernelRow) {
        row.kernels.thread_begin?()
        for peak in [row.kernels.peak_u8s8!, row.kernels.peak_f32!] {
            let once = peak(1)
            #expect(once > 0 && peak(10) == 10 * once && peak(0) == 0)
        }
        row.kernels.thread_end?()
    }
}
