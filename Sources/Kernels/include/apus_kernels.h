// The kernels' public contract. The bodies are written once over 16 lanes (vector/lanes16.h) and compiled once for each
// instruction set, so that every set performs the same operations in the same order: the same bits.
#ifndef APUS_KERNELS_H
#define APUS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/// Columns of one panel of packed weights.
enum { APUS_PANEL = 64 };

/// Rows quantized one by one: x[r][c] ≈ scale[r] · (values[r][c] − zero[r]), 0 ≤ zero[r] ≤ 255.
/// values: [rows × columns], row stride in bytes. A row's scale is NaN where the row was not finite.
typedef struct apus_rows_u8 {
    uint8_t *values;
    size_t stride;
    float *scale;
    int32_t *zero;
} apus_rows_u8;

/// One panel of int8 weights, w[k][n] = scale[n] · values[k][n], packed [inner/4][64][4] (apus_pack_s8).
/// sums[n] = Σk values[k][n]. Columns past the matrix' last are zero in all three.
typedef struct apus_panel_s8 {
    const int8_t *values;
    const int32_t *sums;
    const float *scales;
} apus_panel_s8;

/// What becomes of a product: y = product + bias[n]; y = GELU(y) if `gelu`; y += residual[r][n] if there is one.
/// bias: [64], readable to its end. residual: [rows × columns], stride in elements, or NULL; apart from the output.
typedef struct apus_epilogue {
    const float *bias;
    const float *residual;
    size_t residual_stride;
    int gelu;
} apus_epilogue;

/// One row for each instruction set. Matrices are row-major, f32 strides are in elements, no alignment is needed.
/// Nothing is written outside the shapes given; f32 inputs may be any bits, NaN and infinity included.
typedef struct apus_kernels {
    /// scalar, avx2, avx512 or avx512vnni.
    const char *isa;
    /// The instruction sets that the int8 and the f32 products were compiled for.
    const char *gemm_u8s8_isa, *gemm_f32_isa;

    /// C[r][n] = epilogue(a.scale[r] · scales[n] · Σk (a.values[r][k] − a.zero[r]) · values[k][n]), the sum exact in
    /// int32, converted once. One panel: 1 ≤ columns ≤ 64. rows ≥ 0, 1 ≤ inner ≤ 65,792 (255 · 128 · inner < 2³¹), a
    /// multiple of 4; a's rows are read up to `inner`. The panel is read to its end, C written up to `columns`.
    void (*gemm_u8s8)(const apus_rows_u8 *a, size_t rows, const apus_panel_s8 *b, size_t inner, size_t columns,
                      const apus_epilogue *epilogue, float *c, size_t c_stride);

    /// C[r][n] = epilogue(Σk a[r][k] · b[k][n]), k ascending, each step fused. One panel, b packed [inner][64]
    /// (apus_pack_f32), 1 ≤ columns ≤ 64, inner ≥ 1.
    void (*gemm_f32)(const float *a, size_t a_stride, size_t rows, const float *b, size_t inner, size_t columns,
                     const apus_epilogue *epilogue, float *c, size_t c_stride);

    /// Quantizes each row over its own range, widened to hold 0: scale = range / 255, s = 255 / range,
    /// zero = round(−lowest · s), values = round(x · s + zero), rounded once, ties to even. A range under 1e-30 counts as
    /// none: scale 1, all values zero; one past f32 gives the scale infinity. x: [rows × columns], columns ≥ 1.
    void (*quantize_u8)(const float *x, size_t x_stride, size_t rows, size_t columns, const apus_rows_u8 *out);

    /// out[r][c] = (x[r][c] − mean(x[r])) / √(var(x[r]) + epsilon) · gamma[c] + beta[c]; x and out may be the same.
    /// x, out: [rows × columns], dense. Sums: lane l adds columns l, l + 16, …; then the lanes' tree (lanes16.h).
    /// columns ≥ 1. Where `quantized` is not NULL, it receives the result as quantize_u8 would.
    void (*layernorm_f32)(const float *x, const float *gamma, const float *beta, float epsilon, size_t rows,
                          size_t columns, float *out, const apus_rows_u8 *quantized);

    /// x[i] = x[i] · Φ(x[i]), Φ the normal distribution: the exact GELU, within 5e-7 · max(1, |x|).
    void (*gelu_f32)(float *x, size_t count);

    /// x[i] = tanh(x[i]), within 3e-7.
    void (*tanh_f32)(float *x, size_t count);

    /// x = exp(x − max x) / Σ exp(x − max x). count ≥ 1.
    void (*softmax_f32)(float *x, size_t count);

    /// One head of one sequence: out[i] = Σj softmax(scale · q[i]·k[j])j v[j], scale > 0.
    /// q, out: [queries × head_size]; k, v: [keys × head_size]; scratch: apus_attention_scratch(keys, head_size) floats.
    /// out may be q. queries ≥ 0, keys ≥ 1, head_size ≥ 1. Products: c, and j, ascending, each step fused.
    void (*attention_f32)(const float *q, size_t q_stride, size_t queries, const float *k, const float *v,
                          size_t kv_stride, size_t keys, size_t head_size, float scale, float *scratch, float *out,
                          size_t out_stride);

    /// The same with int8 products: q in u8 as quantize_u8 has it, k in s8 by key, v in s8 by column over all keys, the
    /// softmax's numerators in 16 bits beside the largest, sums exact in int32. keys ≤ 32,768 (65,535 · keys < 2³¹),
    /// head_size ≤ 65,792. A query that is not finite makes its row NaN, a key all rows, a value its column.
    void (*attention_u8s8)(const float *q, size_t q_stride, size_t queries, const float *k, const float *v,
                           size_t kv_stride, size_t keys, size_t head_size, float scale, float *scratch, float *out,
                           size_t out_stride);

    /// The arithmetic peak of one core: products of registers alone, as many as fit, `rounds` times.
    /// Returns the operations done (a multiplication and an addition are two); their time is the caller's to take.
    uint64_t (*peak_u8s8)(uint64_t rounds);
    uint64_t (*peak_f32)(uint64_t rounds);
} apus_kernels;

/// The number of instruction sets that this build knows, best last.
size_t apus_kernels_count(void);

/// Row `index` of the table, whether the host has its instructions or not.
const apus_kernels *apus_kernels_at(size_t index);

/// Whether the host has the instructions that row `index` needs.
int apus_kernels_supported(size_t index);

/// The floats of scratch that attention_f32 or attention_u8s8 needs, whichever needs more.
size_t apus_attention_scratch(size_t keys, size_t head_size);

/// Packs up to 64 rows of W [columns × inner] (a row is an output) as one panel and sums them up.
/// panel: [⌈inner/4⌉][64][4]; sums: [64]; what lies outside W is zero. row stride in elements.
void apus_pack_s8(const int8_t *w, size_t stride, size_t columns, size_t inner, int8_t *panel, int32_t *sums);

/// Packs up to 64 rows of W [columns × inner] as one panel [inner][64]; what lies outside W is zero.
void apus_pack_f32(const float *w, size_t stride, size_t columns, size_t inner, float *panel);

/// w ≈ scale · out, symmetric: scale = max|w| / 127 (1 where that is 0, NaN where a weight is not finite), rounded to the
/// nearest, ties to even.
float apus_quantize_weights(const float *w, size_t count, int8_t *out);

#endif
