// layer norm. Included by isa/f32.body.h.
#include "../quantization/quantize.h"

/// `rows` ≤ TOGETHER rows; it must be a constant.
APUS_INLINE void layernorm_rows(const size_t rows, const float *x, const float *gamma, const float *beta, float epsilon,
                                size_t columns, float *out, row_range *ranges) {
    size_t whole = columns / LANES * LANES;
    size_t rest = columns - whole;
    lanes16 sums[TOGETHER], means[TOGETHER], scales[TOGETHER];
    for (size_t r = 0; r < rows; r++) sums[r] = (lanes16)0.0f;
    for (size_t c = 0; c < whole; c += LANES)
        for (size_t r = 0; r < rows; r++) sums[r] += lanes_load(x + r * columns + c);
    for (size_t r = 0; r < rows; r++) {
        if (rest) sums[r] += lanes_load_part(x + r * columns + whole, rest, 0.0f);
        means[r] = (lanes16)(lanes_sum(sums[r]) / (float)columns);
        sums[r] = (lanes16)0.0f; // of squares, now
    }
    for (size_t c = 0; c < whole; c += LANES)
        for (size_t r = 0; r < rows; r++) {
            lanes16 centred = lanes_load(x + r * columns + c) - means[r];
            sums[r] = lanes_fma(centred, centred, sums[r]);
        }
    for (size_t r = 0; r < rows; r++) {
        if (rest) {
            lanes16 last = lanes_load_part(x + r * columns + whole, rest, 0.0f);
            lanes16 centred = lanes_keep(last - means[r], rest, 0.0f);
            sums[r] = lanes_fma(centred, centred, sums[r]);
        }
        float variance = lanes_sum(sums[r]) / (float)columns;
        scales[r] = (lanes16)(1.0f / __builtin_sqrtf(variance + epsilon));
        ranges[r] = range_start();
    }
    for (size_t c = 0; c < whole; c += LANES) {
        lanes16 g = lanes_load(gamma + c), b = lanes_load(beta + c);
        for (size_t r = 0; r < rows; r++) {
            lanes16 y = lanes_fma((lanes_load(x + r * columns + c) - means[r]) * scales[r], g, b);
            ranges[r] = range_add(ranges[r], y);
            lanes_store(out + r * columns + c, y);
        }
    }
    for (size_t r = 0; r < rows && rest; r++) {
        lanes16 normal = (lanes_load_part(x + r * columns + whole, rest, 0.0f) - means[r]) * scales[r];
        lanes16 y = lanes_fma(normal, lanes_load_part(gamma + whole, rest, 0.0f), lanes_load_part(beta + whole, rest, 0.0f));
        ranges[r] = range_add(ranges[r], lanes_keep(y, rest, 0.0f));
        lanes_store_part(out + r * columns + whole, y, rest);
    }
}

void KERNEL(layernorm_f32)(const float *x, const float *gamma, const float *beta, float epsilon, size_t rows,
                           size_t columns, float *out, const apus_rows_u8 *quantized) {
    row_range ranges[TOGETHER];
    if (quantized && quantized->relative) memset(quantized->relative, 0, rows);
    for (size_t row = 0, count; row < rows; row += count) {
        const float *from = x + row * columns;
        float *to = out + row * columns;
        count = rows - row >= TOGETHER ? TOGETHER : 1;
        if (count == TOGETHER) layernorm_rows(TOGETHER, from, gamma, beta, epsilon, columns, to, ranges);
        else layernorm_rows(1, from, gamma, beta, epsilon, columns, to, ranges);
        if (quantized)
            quantize_rows(count, to, columns, NULL, columns, ranges, quantized->values + row * quantized->stride,
                          quantized->stride, quantized->scale + row, quantized->zero + row);
    }
}
