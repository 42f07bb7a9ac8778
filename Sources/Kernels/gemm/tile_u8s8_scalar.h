// Any CPU; the specification. See tile_u8s8.h. Included by isa/scalar.c.
#include "prefetch.h"

enum { U8S8_ROWS = 1 };
enum { U8S8_PACK = 4, U8S8_INNER = 4, U8S8_FLIP = 0, U8S8_FEW_TILES = 3, U8S8_PIECE_BYTES = 8192 };

APUS_INLINE void tile_u8s8(const int rows, const int columns, const uint8_t *a, size_t a_stride, const int8_t *b,
                           size_t groups, prefetch ahead, int32_t sums[][APUS_PANEL], int accumulate) {
    (void)rows, (void)a_stride, (void)ahead; // one row; memory is not what limits it
    if (!accumulate) memset(sums[0], 0, (size_t)columns * sizeof sums[0][0]);
    for (size_t group = 0; group < groups; group++, a += 4, b += 4 * APUS_PANEL)
        for (size_t n = 0; n < (size_t)columns; n++)
            for (size_t k = 0; k < 4; k++) sums[0][n] += (int32_t)a[k] * b[4 * n + k];
}

#include "tile_u8s8.h"

/// The specification has no peak of its own: the inner loop, from the first-level cache.
uint64_t KERNEL(peak_u8s8)(uint64_t rounds) {
    static const uint8_t a[64] = {1, 2, 3};
    static const int8_t b[16 * 4 * APUS_PANEL] = {1, -2, 3};
    int32_t sums[U8S8_ROWS][APUS_PANEL];
    volatile int32_t kept = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        tile_u8s8(U8S8_ROWS, APUS_PANEL, a, sizeof a, b, 16, (prefetch){0}, sums, 0);
        kept = kept ^ sums[0][round % APUS_PANEL];
    }
    return rounds * 64 * APUS_PANEL * 2;
}
