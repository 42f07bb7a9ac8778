// Rows of activations to u8; the including file has opened a target region and defined KERNEL(name).
#include "quantize.h"

void KERNEL(quantize_u8)(const float *x, size_t x_stride, size_t rows, size_t columns, const apus_rows_u8 *out) {
    for (size_t row = 0; row < rows; row++, x += x_stride) {
        row_range range = range_start(), second = range_start(); // two, so that neither waits for itself
        size_t c = 0;
        for (; c + 2 * LANES <= columns; c += 2 * LANES) {
            range = range_add(range, lanes_load(x + c));
            second = range_add(second, lanes_load(x + c + LANES));
        }
        range = range_join(range, second);
        for (; c + LANES <= columns; c += LANES) range = range_add(range, lanes_load(x + c));
        if (c < columns) range = range_add(range, lanes_load_part(x + c, columns - c, 0.0f));
        quantize_row(x, columns, range, out->values + row * out->stride, &out->scale[row], &out->zero[row]);
    }
}
