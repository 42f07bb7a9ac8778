// The one list of instruction sets: what each needs of the CPU, and its kernels.
#include "apus_kernels.h"

// The table's own types declare the kernels: `__typeof__` of a member, without its pointer.
#define MEMBER(kernel) __typeof__(*((apus_kernels *)0)->kernel)
#define DECLARE_F32(isa)                                                                                              \
    MEMBER(gemm_f32) apus_gemm_f32_##isa;                                                                             \
    MEMBER(quantize_u8) apus_quantize_u8_##isa;                                                                       \
    MEMBER(layernorm_f32) apus_layernorm_f32_##isa;                                                                   \
    MEMBER(gelu_f32) apus_gelu_f32_##isa;                                                                             \
    MEMBER(tanh_f32) apus_tanh_f32_##isa;                                                                             \
    MEMBER(softmax_f32) apus_softmax_f32_##isa;                                                                       \
    MEMBER(attention_f32) apus_attention_f32_##isa;                                                                   \
    MEMBER(peak_f32) apus_peak_f32_##isa;
#define DECLARE_INT8(isa)                                                                                             \
    MEMBER(gemm_u8s8) apus_gemm_u8s8_##isa;                                                                           \
    MEMBER(attention_u8s8) apus_attention_u8s8_##isa;                                                                 \
    MEMBER(peak_u8s8) apus_peak_u8s8_##isa;

#define ROW(int8, f32)                                                                                                \
    {                                                                                                                 \
        .isa = #int8, .gemm_u8s8_isa = #int8, .gemm_f32_isa = #f32, .gemm_u8s8 = apus_gemm_u8s8_##int8,               \
        .gemm_f32 = apus_gemm_f32_##f32, .quantize_u8 = apus_quantize_u8_##f32,                                       \
        .layernorm_f32 = apus_layernorm_f32_##f32, .gelu_f32 = apus_gelu_f32_##f32, .tanh_f32 = apus_tanh_f32_##f32,  \
        .softmax_f32 = apus_softmax_f32_##f32, .attention_u8s8 = apus_attention_u8s8_##int8,                          \
        .attention_f32 = apus_attention_f32_##f32,                                                                    \
        .peak_u8s8 = apus_peak_u8s8_##int8, .peak_f32 = apus_peak_f32_##f32                                           \
    }

DECLARE_F32(scalar)
DECLARE_INT8(scalar)
#if defined(__x86_64__)
DECLARE_F32(avx2)
DECLARE_INT8(avx2)
DECLARE_F32(avx512)
DECLARE_INT8(avx512)
DECLARE_INT8(avx512vnni)

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
    {has_scalar, ROW(scalar, scalar)},
#if defined(__x86_64__)
    {has_avx2, ROW(avx2, avx2)},
    {has_avx512, ROW(avx512, avx512)},
    {has_avx512vnni, ROW(avx512vnni, avx512)}, // VNNI adds int8 products only
#endif
};

size_t apus_kernels_count(void) { return sizeof table / sizeof table[0]; }

const apus_kernels *apus_kernels_at(size_t index) { return &table[index].kernels; }

int apus_kernels_supported(size_t index) { return table[index].supported(); }

/// The larger of the two kernels' needs, each as its body lays it out.
size_t apus_attention_scratch(size_t keys, size_t head_size) {
    enum { ROWS = 6 }; // the tallest tile
    size_t keys16 = (keys + 15) / 16 * 16, head16 = (head_size + 15) / 16 * 16;
    size_t f32 = head_size * keys16 + ROWS * keys16 + ROWS * head16 + keys * head16;
    size_t keys64 = (keys + 63) / 64 * 64, head64 = (head_size + 63) / 64 * 64;
    size_t floats = 2 * keys64 + head64 + ROWS * keys64;
    size_t bytes = (head_size + 3) / 4 * 4 * (keys64 + ROWS) + (keys + 3) / 4 * 4 * head64 + 2 * ROWS * keys64;
    size_t int8 = floats + (bytes + 3) / 4;
    return f32 > int8 ? f32 : int8;
}
