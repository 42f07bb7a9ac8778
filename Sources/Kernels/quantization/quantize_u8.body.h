// Rows of activations to u8. Included by isa/f32.body.h.
#include "quantize.h"

APUS_INLINE void quantize_u8_rows(const size_t rows, const float *x, size_t x_stride, size_t columns, uint8_t *values,
                                  size_t stride, float *scale, int32_t *zero) {
    row_range ranges[TOGETHER];
    for (size_t r = 0; r < rows; r++) ranges[r] = range_start();
    size_t c = 0;
    for (; c + LANES <= columns; c += LANES)
        for (size_t r = 0; r < rows; r++) ranges[r] = range_add(ranges[r], lanes_load(x + r * x_stride + c));
    for (size_t r = 0; r < rows && c < columns; r++)
        ranges[r] = range_add(ranges[r], lanes_load_part(x + r * x_stride + c, columns - c, 0.0f));
    quantize_rows(rows, x, x_stride, NULL, columns, ranges, values, stride, scale, zero);
}

void KERNEL(quantize_u8)(const float *x, size_t x_stride, size_t rows, size_t columns, const apus_rows_u8 *out) {
    // Rows are read twice: together they should stay in the first-level cache.
    size_t together = columns <= 1024 ? TOGETHER : 2;
    if (out->relative) memset(out->relative, 0, rows);
    for (size_t r = 0, count; r < rows; r += count) {
        const float *from = x + r * x_stride;
        uint8_t *to = out->values + r * out->stride;
        float *scale = out->scale + r;
        int32_t *zero = out->zero + r;
        count = rows - r >= together ? together : 1;
        if (count == TOGETHER) quantize_u8_rows(TOGETHER, from, x_stride, columns, to, out->stride, scale, zero);
        else if (count == 2) quantize_u8_rows(2, from, x_stride, columns, to, out->stride, scale, zero);
        else quantize_u8_rows(1, from, x_stride, columns, to, out->stride, scale, zero);
    }
}

void KERNEL(quantize_relative_u8)(const float *x, const float *reference, size_t columns, const apus_rows_u8 *out) {
    row_range range = range_start();
    size_t c = 0;
    for (; c + LANES <= columns; c += LANES) range = range_add(range, lanes_load(x + c) - lanes_load(reference + c));
    if (c < columns)
        range = range_add(range, lanes_load_part(x + c, columns - c, 0.0f) -
                                     lanes_load_part(reference + c, columns - c, 0.0f));
    float width = lanes_largest(range.highest) + lanes_largest(-range.lowest);
    // A NaN is not smaller, on either side.
    *out->relative = width / 255.0f + lanes_sum(range.damage) < *out->scale;
    if (*out->relative)
        quantize_rows(1, x, 0, reference, columns, &range, out->values, out->stride, out->scale, out->zero);
}
