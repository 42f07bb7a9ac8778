// The kernels' public contract. The bodies are written once over 16 lanes (vector/lanes16.h) and compiled once for each
// instruction set (isa/), so that every set performs the same operations in the same order: the same bits.
#ifndef APUS_KERNELS_H
#define APUS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/// Columns of one panel of packed weights.
enum { APUS_PANEL = 64 };

/// Rows quantized one by one: x[r][c] ≈ scale[r] · (values[r][c] − zero[r]), 0 ≤ zero[r] ≤ 255.
/// values: [rows × columns], row stride in bytes. Where a row was not finite, its scale is NaN, its values and zero are 0.
/// relative: NULL, or for each row whether it is x − reference that is there, in place of x.
typedef struct apus_rows_u8 {
    uint8_t *values;
    size_t stride;
    float *scale;
    int32_t *zero;
    uint8_t *relative;
} apus_rows_u8;

/// One panel of int8 weights, w[k][n] = scale[n] · values[k][n], packed by the same row's pack_s8.
/// sums[n] = Σk values[k][n]. Columns past the matrix' last are zero in all three.
typedef struct apus_panel_s8 {
    const int8_t *values;
    const int32_t *sums;
    const float *scales;
} apus_panel_s8;

/// What becomes of a product: y = product + bias[n]; y = GELU(y) if `gelu`; y += residual[r][n] if there is one.
/// bias: [64], readable to its end. residual: [rows × columns], stride in elements, or NULL; apart from the output.
/// reference: NULL, or what an int8 product's relative rows get in place of the bias, [64]: it, and their reference's product.
typedef struct apus_epilogue {
    const float *bias;
    const float *residual;
    size_t residual_stride;
    int gelu;
    const float *reference;
} apus_epilogue;

/// What is added to a head's scores before the softmax: values[i · stride + j] for query i and key j. A stride of −1 gives one
/// value for each distance j − i. −∞ hides a key; no query may have all of them hidden.
typedef struct apus_score_bias {
    const float *values;
    ptrdiff_t stride;
} apus_score_bias;

/// One row for each instruction set. Matrices are row-major, f32 strides are in elements, no alignment is needed.
/// Nothing is written outside the shapes given; f32 inputs may be any bits, NaN and infinity included.
typedef struct apus_kernels {
    /// Its name, as in apus_isa_name; and that of the row whose f32 kernels it has.
    const char *isa, *f32_isa;

    /// Where not NULL, each thread calls them before its first and after its last of many calls: the set has registers to
    /// set up and to give back (AMX). In between, nothing else on that thread may use them.
    void (*thread_begin)(void), (*thread_end)(void);

    /// Rows that a product takes at a time: work that is shared out in multiples of it leaves no sliver.
    size_t rows_u8s8, rows_f32;

    /// What `inner` of gemm_u8s8 is a multiple of; a power of two, at most 64.
    size_t inner_step;

    /// Packs up to 64 rows of W [columns × inner] (a row is an output) as one panel, in this row's own order, and sums them
    /// up. row stride in elements; inner ≥ 1, any. panel: 64 · (inner rounded up to inner_step) bytes; sums: [64].
    /// What lies outside W is zero.
    void (*pack_s8)(const int8_t *w, size_t stride, size_t columns, size_t inner, int8_t *panel, int32_t *sums);

    /// C[r][n] = epilogue(a.scale[r] · scales[n] · Σk (a.values[r][k] − a.zero[r]) · values[k][n]), the sum exact in
    /// int32, converted once. One panel: 1 ≤ columns ≤ 64. rows ≥ 0, 1 ≤ inner ≤ 65,792 (255 · 128 · inner < 2³¹), a
    /// multiple of inner_step; a's rows are read up to `inner`. The panel is read to its end, C written up to `columns`.
    void (*gemm_u8s8)(const apus_rows_u8 *a, size_t rows, const apus_panel_s8 *b, size_t inner, size_t columns,
                      const apus_epilogue *epilogue, float *c, size_t c_stride);

    /// C[r][n] = epilogue(Σk a[r][k] · b[k][n]), k ascending, each step fused. One panel, b packed [inner][64]
    /// (apus_pack_f32), 1 ≤ columns ≤ 64, inner ≥ 1.
    void (*gemm_f32)(const float *a, size_t a_stride, size_t rows, const float *b, size_t inner, size_t columns,
                     const apus_epilogue *epilogue, float *c, size_t c_stride);

    /// Quantizes each row over its own range, widened to hold 0: scale = range / 255, s = 255 / range,
    /// zero = round(−lowest · s), values = round(x · s + zero), rounded once, ties to even. A range under 1e-30 counts as
    /// none: scale 1, all values zero; one past f32 gives the scale infinity. x: [rows × columns], columns ≥ 1.
    /// No row is relative.
    void (*quantize_u8)(const float *x, size_t x_stride, size_t rows, size_t columns, const apus_rows_u8 *out);

    /// One row, which `out` has as quantize_u8 wrote it: where x − reference has the smaller scale, it takes x's place, and
    /// the row is relative. out->relative is not NULL.
    void (*quantize_relative_u8)(const float *x, const float *reference, size_t columns, const apus_rows_u8 *out);

    /// out[r][c] = (x[r][c] − mean(x[r])) / √(var(x[r]) + epsilon) · gamma[c] + beta[c]; x and out may be the same.
    /// x, out: [rows × columns], dense. Sums: lane l adds columns l, l + 16, …; then the lanes' tree (lanes16.h).
    /// columns ≥ 1. Where `quantized` is not NULL, it receives the result as quantize_u8 would.
    void (*layernorm_f32)(const float *x, const float *gamma, const float *beta, float epsilon, size_t rows,
                          size_t columns, float *out, const apus_rows_u8 *quantized);

    /// x[i] = x[i] · Φ(x[i]), Φ the normal distribution: the exact GELU, within 5e-7 · max(1, |x|).
    void (*gelu_f32)(float *x, size_t count);

    /// x[i] = x[i]/2 · (1 + tanh(√(2/π) · (x[i] + 0.044715 · x[i]³))): GELU's approximation, within 1e-6 · max(1, |x|).
    void (*gelu_tanh_f32)(float *x, size_t count);

    /// x[i] = x[i] / (1 + exp(−x[i])), within 1e-6 · max(1, |x|).
    void (*silu_f32)(float *x, size_t count);

    /// x[i] = max(x[i], 0); NaN stays.
    void (*relu_f32)(float *x, size_t count);

    /// x[i] = tanh(x[i]), within 3e-7.
    void (*tanh_f32)(float *x, size_t count);

    /// x = exp(x − max x) / Σ exp(x − max x). count ≥ 1.
    void (*softmax_f32)(float *x, size_t count);

    /// One head of one sequence: out[i] = Σj softmax(scale · q[i]·k[j] + bias[i][j])j v[j], scale > 0; no bias where NULL.
    /// q, out: [queries × head_size]; k, v: [keys × head_size]; scratch: attention_f32_scratch(keys, head_size) floats.
    /// out may be q. queries ≥ 0, keys ≥ 1, head_size ≥ 1. Products: c, and j, ascending, each step fused.
    void (*attention_f32)(const float *q, size_t q_stride, size_t queries, const float *k, const float *v,
                          size_t kv_stride, size_t keys, size_t head_size, float scale, const apus_score_bias *bias,
                          float *scratch, float *out, size_t out_stride);

    /// The same with int8 products: q in u8 as quantize_u8 has it, k in s8 by key, v in s8 by column over all keys, the
    /// softmax's numerators in 16 bits beside the largest, sums exact in int32. keys ≤ 32,768 (65,535 · keys < 2³¹),
    /// head_size ≤ 65,728. A query that is not finite makes its row NaN, a key all rows, a value its column.
    /// scratch: attention_u8s8_scratch(keys, head_size) floats.
    void (*attention_u8s8)(const float *q, size_t q_stride, size_t queries, const float *k, const float *v,
                           size_t kv_stride, size_t keys, size_t head_size, float scale,
                           const apus_score_bias *bias, float *scratch, float *out, size_t out_stride);

    /// The floats of scratch that one head's attention takes; more for more keys.
    size_t (*attention_f32_scratch)(size_t keys, size_t head_size);
    size_t (*attention_u8s8_scratch)(size_t keys, size_t head_size);

    /// The arithmetic peak of one core: products of registers alone, as many as fit, `rounds` times.
    /// Returns the operations done (a multiplication and an addition are two); their time is the caller's to take.
    uint64_t (*peak_u8s8)(uint64_t rounds);
    uint64_t (*peak_f32)(uint64_t rounds);
} apus_kernels;

/// What a CPU, and its operating system, have of what a row of the table may need.
typedef enum apus_feature {
    APUS_X86 = 1 << 0, // the architecture itself
    APUS_AVX2 = 1 << 1,
    APUS_FMA = 1 << 2,
    APUS_AVXVNNI = 1 << 3,
    APUS_AVX512 = 1 << 4, // F, BW, DQ and VL
    APUS_AVX512VNNI = 1 << 5,
    APUS_AMX = 1 << 6, // TILE and INT8, with the system's permission
    APUS_ARM64 = 1 << 16,
    APUS_DOTPROD = 1 << 17,
    APUS_I8MM = 1 << 18,
} apus_feature;

/// The features of this machine. The first call asks the system for AMX, where the CPU has it, for the whole process.
uint32_t apus_cpu_features(void);

/// Why a feature that the CPU has is not used, or NULL.
const char *apus_cpu_note(void);

/// The number of instruction sets that Apus knows, of every architecture, a better one behind a worse one.
size_t apus_isa_count(void);
const char *apus_isa_name(size_t index);

/// Whether a machine with `features` has what instruction set `index` needs.
int apus_isa_runs(size_t index, uint32_t features);

/// The best instruction set of a machine with `features`.
size_t apus_isa_choice(uint32_t features);

/// The kernels of instruction set `index`; NULL in a build for another architecture.
const apus_kernels *apus_isa_kernels(size_t index);

/// Packs up to 64 rows of W [columns × inner] as one panel [inner][64]; what lies outside W is zero.
void apus_pack_f32(const float *w, size_t stride, size_t columns, size_t inner, float *panel);

/// w ≈ scale · out, symmetric: scale = max|w| / 127 (1 where that is 0, NaN where a weight is not finite), rounded to the
/// nearest, ties to even.
float apus_quantize_weights(const float *w, size_t count, int8_t *out);

#endif
