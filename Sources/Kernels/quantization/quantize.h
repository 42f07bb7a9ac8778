// Rows of activations to u8. Include only inside a target region.
#ifndef APUS_QUANTIZE_H
#define APUS_QUANTIZE_H
#include "../vector/lanes16.h"

/// A row's range so far; `damage` turns NaN with the first value that is not finite.
typedef struct {
    lanes16 lowest, highest, damage;
} row_range;

APUS_INLINE row_range range_start(void) { return (row_range){(lanes16)0.0f, (lanes16)0.0f, (lanes16)0.0f}; }

APUS_INLINE row_range range_add(row_range range, lanes16 x) {
    return (row_range){lanes_min(x, range.lowest), lanes_max(x, range.highest),
                       lanes_fma(x, (lanes16)0.0f, range.damage)};
}

/// Rows that are taken together, so that their sums, divisions and square roots overlap.
enum { TOGETHER = 6 };
_Static_assert(TOGETHER <= LANES, "a vector holds a figure of each row");

/// Rows of x, `stride` apart, less the reference where that is not NULL, by their ranges; rows ≤ TOGETHER.
APUS_INLINE void quantize_rows(size_t rows, const float *x, size_t stride, const float *reference, size_t columns,
                               const row_range *ranges, uint8_t *values, size_t values_stride, float *scales, int32_t *zeros) {
    float highests[LANES] = {0}, lowests[LANES] = {0}, damages[LANES] = {0}, per_units[LANES], offsets[LANES], parts[LANES];
    for (size_t r = 0; r < rows; r++) {
        highests[r] = lanes_largest(ranges[r].highest);
        lowests[r] = -lanes_largest(-ranges[r].lowest);
        damages[r] = lanes_sum(ranges[r].damage);
    }
    lanes16 lowest = lanes_load(lowests);
    lanes16 width = lanes_load(highests) - lowest;
    lanes16_bits is_flat = width < 1e-30f; // 255 / width must stay finite
    lanes16 per_unit = is_flat ? (lanes16)0.0f : 255.0f / width;
    lanes16 scale = (is_flat ? (lanes16)1.0f : width / 255.0f) + lanes_load(damages);
    lanes16 offset = scale == scale ? -lowest * per_unit + LANES_ROUNDING : LANES_ROUNDING;
    lanes16_bits zero = lanes_whole(offset);
    lanes_store(per_units, per_unit);
    lanes_store(offsets, offset);
    lanes_store(parts, scale);
    memcpy(scales, parts, rows * sizeof *scales);
    memcpy(zeros, &zero, rows * sizeof *zeros);
    for (size_t r = 0; r < rows; r++, x += stride, values += values_stride) {
        if (parts[r] != parts[r]) { // a NaN's bits are the CPU's own: none of them get into the values
            memset(values, 0, columns);
            continue;
        }
        per_unit = (lanes16)per_units[r];
        offset = (lanes16)offsets[r];
        for (size_t c = 0; c < columns; c += LANES) {
            size_t count = columns - c;
            lanes16 y = count >= LANES ? lanes_load(x + c) : lanes_load_part(x + c, count, 0.0f);
            if (reference) y -= count >= LANES ? lanes_load(reference + c) : lanes_load_part(reference + c, count, 0.0f);
            lanes16_bits q = lanes_whole(lanes_fma(y, per_unit, offset));
            q = q < 0 ? (lanes16_bits)0 : q;
            q = q > 255 ? (lanes16_bits)255 : q;
            lanes16_u8 bytes = __builtin_convertvector(q, lanes16_u8);
            if (count >= LANES) memcpy(values + c, &bytes, LANES);
            else memcpy(values + c, &bytes, count);
        }
    }
}

#endif
