// The int8 products' inner loop; see tile_u8s8.h. Include only inside the target region.
#ifndef APUS_TILE_U8S8_H
#define APUS_TILE_U8S8_H
#include "prefetch.h"

enum { U8S8_ROWS = 1 };

APUS_INLINE void tile_u8s8(const int rows, const int columns, const uint8_t *a, size_t a_stride, const int8_t *b,
                           size_t groups, prefetch ahead, int32_t sums[][APUS_PANEL], int accumulate) {
    (void)rows, (void)a_stride, (void)ahead; // one row; memory is not what limits it
    if (!accumulate) memset(sums[0], 0, (size_t)columns * sizeof sums[0][0]);
    for (size_t group = 0; group < groups; group++, a += 4, b += 4 * APUS_PANEL)
        for (size_t n = 0; n < (size_t)columns; n++)
            for (size_t k = 0; k < 4; k++) sums[0][n] += (int32_t)a[k] * b[4 * n + k];
}

#include "tile_u8s8.h"
#endif
