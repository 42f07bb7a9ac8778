// One row of activations to u8. Include only inside a target region.
#ifndef APUS_QUANTIZE_H
#define APUS_QUANTIZE_H
#include "../vector/lanes16.h"

typedef uint8_t lanes16_u8 __attribute__((ext_vector_type(16)));

/// A row's range so far; `damage` turns NaN with the first value that is not finite.
typedef struct {
    lanes16 lowest, highest, damage;
} row_range;

APUS_INLINE row_range range_start(void) { return (row_range){(lanes16)0.0f, (lanes16)0.0f, (lanes16)0.0f}; }

APUS_INLINE row_range range_add(row_range range, lanes16 x) {
    return (row_range){lanes_min(x, range.lowest), lanes_max(x, range.highest),
                       lanes_fma(x, (lanes16)0.0f, range.damage)};
}

APUS_INLINE row_range range_join(row_range a, row_range b) {
    return (row_range){lanes_min(a.lowest, b.lowest), lanes_max(a.highest, b.highest), a.damage + b.damage};
}

APUS_INLINE void quantize_row(const float *x, size_t columns, row_range range, uint8_t *values, float *scale,
                              int32_t *zero) {
    float highest = lanes_largest(range.highest);
    float lowest = -lanes_largest(-range.lowest);
    float width = highest - lowest;
    int is_flat = width < 1e-30f; // 255 / width must stay finite
    float per_unit = is_flat ? 0.0f : 255.0f / width;
    float offset = -lowest * per_unit + 12582912.0f; // 1.5 · 2²³: what is added to it is rounded to a whole number
    *scale = (is_flat ? 1.0f : width / 255.0f) + lanes_sum(range.damage);
    offset = *scale == *scale ? offset : 12582912.0f;
    *zero = (int32_t)(offset - 12582912.0f);
    const lanes16_bits base = (lanes16_bits)0x4B400000; // 12582912.0f
    for (size_t c = 0; c < columns; c += LANES) {
        size_t count = columns - c;
        lanes16 y = count >= LANES ? lanes_load(x + c) : lanes_load_part(x + c, count, 0.0f);
        lanes16_bits q = lanes_to_bits(lanes_fma(y, (lanes16)per_unit, (lanes16)offset)) - base;
        q = q < 0 ? (lanes16_bits)0 : q;
        q = q > 255 ? (lanes16_bits)255 : q;
        lanes16_u8 bytes = __builtin_convertvector(q, lanes16_u8);
        if (count >= LANES) memcpy(values + c, &bytes, LANES);
        else memcpy(values + c, &bytes, count);
    }
}

#endif
