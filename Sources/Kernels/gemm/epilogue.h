// What becomes of a product. Include only inside a target region.
#ifndef APUS_EPILOGUE_H
#define APUS_EPILOGUE_H
#include "../activation/gelu.h"

/// Asks for the lines that the tile will be finished into, while its sums are taken.
APUS_INLINE void prefetch_output(const apus_epilogue *epilogue, size_t row, size_t rows, size_t columns, const float *c,
                                 size_t c_stride) {
    for (size_t r = row; r < row + rows; r++)
        for (size_t column = 0; column < columns; column += LANES) {
            __builtin_prefetch(c + r * c_stride + column, 1);
            if (epilogue->residual) __builtin_prefetch(epilogue->residual + r * epilogue->residual_stride + column);
        }
}

/// Finishes columns `column` ..< `column` + 16, of which `count` exist, of row `row`; y has its bias already.
APUS_INLINE void finish(lanes16 y, const apus_epilogue *epilogue, size_t row, size_t column, size_t count, float *c,
                        size_t c_stride) {
    if (epilogue->gelu) y = lanes_gelu(y);
    float *out = c + row * c_stride + column;
    if (epilogue->residual) {
        const float *residual = epilogue->residual + row * epilogue->residual_stride + column;
        y += count >= LANES ? lanes_load(residual) : lanes_load_part(residual, count, 0.0f);
    }
    if (count >= LANES) lanes_store(out, y);
    else lanes_store_part(out, y, count);
}

#endif
