#include "../vector/isa_scalar.h"
#include "tile_u8s8_scalar.h"

#include "gemm_u8s8.body.h"

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
