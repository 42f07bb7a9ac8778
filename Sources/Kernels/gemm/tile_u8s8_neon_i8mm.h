// ARM's matrix products of bytes: two rows by two columns by eight steps in one. See tile_u8s8.h.
// Included by isa/neon_i8mm.c.
#include "prefetch.h"

enum { U8S8_ROWS = 6, COLUMNS = 16, PAIRS = COLUMNS / 2 }; // 3 · 8 sums, 3 of activations, 1 of weights: 28
enum { U8S8_PACK = 8, U8S8_INNER = 8, U8S8_FLIP = 0, U8S8_FEW_TILES = 3, U8S8_PIECE_BYTES = 8192 };

/// A register of sums holds rows 2p and 2p + 1 of two columns. An odd last row stands there twice.
APUS_INLINE void tile_u8s8(const int rows, const int columns, const uint8_t *a, size_t a_stride, const int8_t *b,
                           size_t groups, prefetch ahead, int32_t sums[][APUS_PANEL], int accumulate) {
    for (int column = 0; column < columns; column += COLUMNS) {
        int32x4_t sum[U8S8_ROWS / 2][PAIRS];
#pragma clang loop unroll(full)
        for (int p = 0; 2 * p < rows; p++)
#pragma clang loop unroll(full)
            for (int i = 0; i < PAIRS; i++) sum[p][i] = vdupq_n_s32(0);
        for (size_t group = 0; group < groups; group++) {
            const int8_t *weights = b + (group * APUS_PANEL + column) * 8;
            if (column == 0) ahead = prefetch_step(prefetch_step(ahead));
            uint8x16_t x[U8S8_ROWS / 2];
#pragma clang loop unroll(full)
            for (int p = 0; 2 * p < rows; p++) {
                const uint8_t *upper = a + 2 * p * a_stride + 8 * group;
                x[p] = vcombine_u8(vld1_u8(upper), vld1_u8(2 * p + 1 < rows ? upper + a_stride : upper));
            }
#pragma clang loop unroll(full)
            for (int i = 0; i < PAIRS; i++) {
                int8x16_t w = vld1q_s8(weights + 16 * i);
#pragma clang loop unroll(full)
                for (int p = 0; 2 * p < rows; p++) sum[p][i] = vusmmlaq_s32(sum[p][i], x[p], w);
            }
        }
#pragma clang loop unroll(full)
        for (int p = 0; 2 * p < rows; p++)
#pragma clang loop unroll(full)
            for (int i = 0; i < PAIRS; i += 2) {
                int64x2_t left = vreinterpretq_s64_s32(sum[p][i]), right = vreinterpretq_s64_s32(sum[p][i + 1]);
                int32x4_t upper = vreinterpretq_s32_s64(vzip1q_s64(left, right));
                int32x4_t lower = vreinterpretq_s32_s64(vzip2q_s64(left, right));
                int32_t *place = &sums[2 * p][column + 2 * i];
                vst1q_s32(place, accumulate ? vaddq_s32(upper, vld1q_s32(place)) : upper);
                if (2 * p + 1 == rows) continue;
                place += APUS_PANEL;
                vst1q_s32(place, accumulate ? vaddq_s32(lower, vld1q_s32(place)) : lower);
            }
    }
}

#include "tile_u8s8.h"

uint64_t KERNEL(peak_u8s8)(uint64_t rounds) {
    enum { CHAINS = 24 }; // of 32 registers, whatever the tile: a worse tile must show beside the peak
    int32x4_t sums[CHAINS];
    uint8x16_t x = vdupq_n_u8(3);
    int8x16_t w = vdupq_n_s8(-5);
    for (int i = 0; i < CHAINS; i++) sums[i] = vdupq_n_s32(i);
    for (uint64_t round = 0; round < rounds; round++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < CHAINS; i++) sums[i] = vusmmlaq_s32(sums[i], x, w);
    }
    for (int i = 1; i < CHAINS; i++) sums[0] = vaddq_s32(sums[0], sums[i]);
    volatile int32_t kept = vaddvq_s32(sums[0]);
    (void)kept;
    return rounds * CHAINS * 32 * 2;
}
