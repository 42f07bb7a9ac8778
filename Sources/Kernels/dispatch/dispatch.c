// The one list of instruction sets: what each needs of a machine, and its kernels.
#include "apus_kernels.h"

enum {
    AVX2 = APUS_X86 | APUS_AVX2 | APUS_FMA,
    AVX512 = AVX2 | APUS_AVX512,
    AVX512VNNI = AVX512 | APUS_AVX512VNNI,
};

#if defined(__x86_64__)
#define X86(isa) &apus_kernels_##isa
#define ARM64(isa) NULL
#elif defined(__aarch64__)
#define X86(isa) NULL
#define ARM64(isa) &apus_kernels_##isa
#else
#define X86(isa) NULL
#define ARM64(isa) NULL
#endif

extern const apus_kernels apus_kernels_scalar, apus_kernels_avx2, apus_kernels_avxvnni, apus_kernels_avx512,
    apus_kernels_avx512vnni, apus_kernels_avx512amx, apus_kernels_neon, apus_kernels_neon_dotprod,
    apus_kernels_neon_i8mm; // each in isa/NAME.c

/// The last one that a machine has is the best for it.
static const struct {
    const char *name;
    uint32_t needs;
    const apus_kernels *kernels;
} table[] = {
    {"scalar", 0, &apus_kernels_scalar},
    {"avx2", AVX2, X86(avx2)},
    {"avxvnni", AVX2 | APUS_AVXVNNI, X86(avxvnni)},
    {"avx512", AVX512, X86(avx512)},
    {"avx512vnni", AVX512VNNI, X86(avx512vnni)},
    {"avx512amx", AVX512VNNI | APUS_AMX, X86(avx512amx)},
    {"neon", APUS_ARM64, ARM64(neon)},
    {"neon_dotprod", APUS_ARM64 | APUS_DOTPROD, ARM64(neon_dotprod)},
    {"neon_i8mm", APUS_ARM64 | APUS_DOTPROD | APUS_I8MM, ARM64(neon_i8mm)},
};

size_t apus_isa_count(void) { return sizeof table / sizeof table[0]; }

const char *apus_isa_name(size_t index) { return table[index].name; }

int apus_isa_runs(size_t index, uint32_t features) { return (table[index].needs & ~features) == 0; }

size_t apus_isa_choice(uint32_t features) {
    size_t best = 0;
    for (size_t index = 0; index < apus_isa_count(); index++)
        if (apus_isa_runs(index, features)) best = index;
    return best;
}

const apus_kernels *apus_isa_kernels(size_t index) { return table[index].kernels; }
