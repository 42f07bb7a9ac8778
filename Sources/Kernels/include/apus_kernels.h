// The kernels' public contract. The bodies are written once over 16 lanes (vector/lanes16.h) and compiled once for each
// instruction set, so that every set performs the same operations in the same order: the same bits.
#ifndef APUS_KERNELS_H
#define APUS_KERNELS_H

#include <stddef.h>

/// One row for each instruction set. All matrices are row-major f32, strides are in elements, no alignment is needed.
/// Nothing is written outside the shapes given; inputs may be any bits, NaN and infinity included.
typedef struct apus_kernels {
    /// scalar, avx2, avx512 or avx512vnni.
    const char *isa;

    /// out[r][c] = (y[r][c] − mean(y[r])) / √(var(y[r]) + epsilon) · gamma[c] + beta[c], with y = x + residual.
    /// x, residual, out: [rows × columns], dense; residual may be NULL; out may be x or residual.
    /// Sums: lane l adds columns l, l + 16, …; then the lanes' tree (lanes16.h). columns ≥ 1.
    void (*layernorm_f32)(const float *x, const float *residual, const float *gamma, const float *beta, float epsilon,
                          size_t rows, size_t columns, float *out);

    /// x[i] = x[i] · Φ(x[i]), Φ the normal distribution: the exact GELU, within 5e-7 · max(1, |x|).
    void (*gelu_f32)(float *x, size_t count);

    /// x[i] = tanh(x[i]), within 3e-7.
    void (*tanh_f32)(float *x, size_t count);

    /// x = exp(x − max x) / Σ exp(x − max x). count ≥ 1.
    void (*softmax_f32)(float *x, size_t count);

    /// One head of one sequence: out[i] = Σj softmax(scale · q[i]·k[j])j v[j].
    /// q, out: [queries × head_size]; k, v: [keys × head_size]; scores: scratch of `keys` floats.
    /// out may be q. queries ≥ 0, keys ≥ 1, head_size ≥ 1.
    void (*attention_f32)(const float *q, size_t q_stride, size_t queries, const float *k, const float *v,
                          size_t kv_stride, size_t keys, size_t head_size, float scale, float *scores, float *out,
                          size_t out_stride);
} apus_kernels;

/// The number of instruction sets that this build knows, best last.
size_t apus_kernels_count(void);

/// Row `index` of the table, whether the host has its instructions or not.
const apus_kernels *apus_kernels_at(size_t index);

/// Whether the host has the instructions that row `index` needs.
int apus_kernels_supported(size_t index);

#endif
