// The one list of instruction sets: what each needs of the CPU, and its kernels.
#include "apus_kernels.h"

#define DECLARE(isa)                                                                                                  \
    void apus_layernorm_f32_##isa(const float *, const float *, const float *, const float *, float, size_t, size_t,  \
                                  float *);                                                                           \
    void apus_gelu_f32_##isa(float *, size_t);                                                                        \
    void apus_tanh_f32_##isa(float *, size_t);                                                                        \
    void apus_softmax_f32_##isa(float *, size_t);                                                                     \
    void apus_attention_f32_##isa(const float *, size_t, size_t, const float *, const float *, size_t, size_t,        \
                                  size_t, float, float *, float *, size_t);

#define ROW(name, f32)                                                                                                \
    {                                                                                                                 \
        .isa = name, .layernorm_f32 = apus_layernorm_f32_##f32, .gelu_f32 = apus_gelu_f32_##f32,                      \
        .tanh_f32 = apus_tanh_f32_##f32, .softmax_f32 = apus_softmax_f32_##f32,                                       \
        .attention_f32 = apus_attention_f32_##f32                                                                     \
    }

DECLARE(scalar)
#if defined(__x86_64__)
DECLARE(avx2)
DECLARE(avx512)

static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static int has_avx512vnni(void) { return has_avx512() && __builtin_cpu_supports("avx512vnni"); }
#endif

static int has_scalar(void) { return 1; }

static const struct {
    int (*supported)(void);
    apus_kernels kernels;
} table[] = {
    {has_scalar, ROW("scalar", scalar)},
#if defined(__x86_64__)
    {has_avx2, ROW("avx2", avx2)},
    {has_avx512, ROW("avx512", avx512)},
    {has_avx512vnni, ROW("avx512vnni", avx512)}, // the same f32 kernels: VNNI adds int8 products only
#endif
};

size_t apus_kernels_count(void) { return sizeof table / sizeof table[0]; }

const apus_kernels *apus_kernels_at(size_t index) { return &table[index].kernels; }

int apus_kernels_supported(size_t index) { return table[index].supported(); }
