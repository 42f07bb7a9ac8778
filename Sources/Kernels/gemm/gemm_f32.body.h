// The f32 product. Included by isa/f32.body.h.
#include "epilogue.h"
#include "tile_f32.h"

void KERNEL(gemm_f32)(const float *a, size_t a_stride, size_t rows, const float *b, size_t inner, size_t columns,
                      const apus_epilogue *epilogue, float *c, size_t c_stride) {
    enum { STEP = APUS_PANEL * sizeof *b };
    float ragged[F32_ROWS * APUS_PANEL]; // a narrow panel's sums: whole vectors would not fit C
    size_t vectors = (columns + LANES - 1) / LANES;
    size_t tiles = (rows + F32_ROWS - 1) / F32_ROWS;
    int few = tiles <= F32_FEW_TILES; // see gemm_u8s8.body.h
    size_t block = columns < APUS_PANEL ? inner : few ? F32_PIECE_BYTES / STEP : F32_BLOCK_STEPS;
    for (size_t k = 0; k < inner; k += block) {
        size_t length = inner - k < block ? inner - k : block;
        const float *weights = b + k * APUS_PANEL;
        const float *next = weights + (few ? 2 * F32_PIECE_BYTES / sizeof *b : length * APUS_PANEL);
        for (size_t row = 0, tile = 0, height; row < rows; row += height, tile++) {
            height = tile_height(rows - row, F32_ROWS);
            float *sums = columns == APUS_PANEL ? c + row * c_stride : ragged;
            size_t stride = columns == APUS_PANEL ? c_stride : APUS_PANEL;
            for (size_t v = 0; v < vectors; v += F32_VECTORS) {
                size_t width = vectors - v < F32_VECTORS ? vectors - v : F32_VECTORS;
                prefetch ahead = prefetch_share(next, length * STEP, tile, tiles);
                if (v > 0) ahead.lines = 0;
                any_tile_f32(height, width, a + row * a_stride + k, a_stride, weights + v * LANES, APUS_PANEL, length, ahead,
                             sums + v * LANES, stride, k > 0);
            }
            if (k + length < inner) continue;
            for (size_t v = 0; v < vectors; v++) {
                size_t column = v * LANES;
                lanes16 bias = lanes_load(epilogue->bias + column);
                for (size_t r = 0; r < height; r++)
                    finish(lanes_load(sums + r * stride + column) + bias, epilogue, row + r, column, columns - column, c,
                           c_stride);
            }
        }
    }
}
