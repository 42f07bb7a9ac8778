// The f32 products' inner loop. Include only inside a target region, behind a tile_f32_ISA.h, which has
//     F32_ROWS, F32_VECTORS             rows, and vectors of 16 columns, that are summed at once
//     F32_FEW_TILES, F32_PIECE_BYTES    up to so many row tiles share a piece of the panel (see gemm_u8s8.body.h)
//     F32_BLOCK_STEPS                   steps of k that stay in a cache while more row tiles pass over them: 256 bytes each
//     F32_PEAK_SUMS                     the peak's independent sums, whatever the tile: a worse tile must show beside it
#ifndef APUS_TILE_F32_H
#define APUS_TILE_F32_H
#include "prefetch.h"

/// c[r][n] = (accumulate ? c[r][n] : 0) + Σk a[r][k] · b[k][n], k ascending, for `rows` ≤ F32_ROWS and
/// 16 · `vectors` ≤ 16 · F32_VECTORS columns; asks for what is `ahead` meanwhile. Rows and vectors must be constants
/// where this is inlined.
APUS_INLINE void tile_f32(const int rows, const int vectors, const float *a, size_t a_stride, const float *b,
                          size_t b_stride, size_t inner, prefetch ahead, float *c, size_t c_stride, int accumulate) {
    lanes16 sums[F32_ROWS][F32_VECTORS];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++)
            sums[r][v] = accumulate ? lanes_load(c + r * c_stride + v * LANES) : (lanes16)0.0f;
    for (size_t k = 0; k < inner; k++) {
        ahead = prefetch_step(ahead);
        lanes16 columns[F32_VECTORS];
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) columns[v] = lanes_load(b + k * b_stride + v * LANES);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            lanes16 x = (lanes16)a[r * a_stride + k];
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) sums[r][v] = lanes_fma(x, columns[v], sums[r][v]);
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) lanes_store(c + r * c_stride + v * LANES, sums[r][v]);
}

#define TILE_F32_CASE(ROWS, VECTORS)                                                                                  \
    case (ROWS) * 8 + (VECTORS):                                                                                      \
        if (ROWS <= F32_ROWS && VECTORS <= F32_VECTORS)                                                               \
            tile_f32(ROWS, VECTORS, a, a_stride, b, b_stride, inner, ahead, c, c_stride, accumulate);                 \
        return;
#define TILE_F32_HEIGHTS(VECTORS)                                                                                     \
    TILE_F32_CASE(1, VECTORS) TILE_F32_CASE(2, VECTORS) TILE_F32_CASE(3, VECTORS)                                     \
    TILE_F32_CASE(4, VECTORS) TILE_F32_CASE(5, VECTORS) TILE_F32_CASE(6, VECTORS)

_Static_assert(F32_ROWS <= 6 && F32_VECTORS <= 4, "a tile's heights and widths are the cases above");

/// As tile_f32, for rows and vectors known at run time only.
static __attribute__((unused, noinline)) void any_tile_f32(size_t rows, size_t vectors, const float *a, size_t a_stride,
                                                           const float *b, size_t b_stride, size_t inner,
                                                           prefetch ahead, float *c, size_t c_stride,
                                                           int accumulate) {
    switch (rows * 8 + vectors) {
        TILE_F32_HEIGHTS(1)
        TILE_F32_HEIGHTS(2)
        TILE_F32_HEIGHTS(3)
        TILE_F32_HEIGHTS(4)
    default: __builtin_unreachable();
    }
}

#endif
