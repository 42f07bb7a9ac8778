// ARM's dot products: a register of sums holds 4 columns, and four steps' bytes are multiplied at once. See tile_u8s8.h.
// Included by isa/neon_dotprod.c.
#include "prefetch.h"

enum { U8S8_ROWS = 4, COLUMNS = 16, REGISTERS = COLUMNS / 4 }; // 4 · 4 sums, 4 rows' sums, 4 of activations, 4 of weights
enum { U8S8_PACK = 4, U8S8_INNER = 4, U8S8_FLIP = 0x80, U8S8_FEW_TILES = 3, U8S8_PIECE_BYTES = 8192 };

/// Both factors must be unsigned: weights are w + 128, and Σ a·w = Σ a·(w + 128) − 128 · Σ a. The first sum is below
/// 255 · 255 · 65,792 < 2³²; whatever wraps after it wraps back.
APUS_INLINE void tile_u8s8(const int rows, const int columns, const uint8_t *a, size_t a_stride, const int8_t *b,
                           size_t groups, prefetch ahead, int32_t sums[][APUS_PANEL], int accumulate) {
    const uint8x16_t ones = vdupq_n_u8(1);
    for (int column = 0; column < columns; column += COLUMNS) {
        uint32x4_t sum[U8S8_ROWS][REGISTERS], row_sums[U8S8_ROWS];
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            row_sums[r] = vdupq_n_u32(0);
#pragma clang loop unroll(full)
            for (int i = 0; i < REGISTERS; i++) sum[r][i] = vdupq_n_u32(0);
        }
        const uint8_t *weights = (const uint8_t *)b + 4 * column;
        size_t group = 0;
        uint8x16_t x[U8S8_ROWS];
#define DOTPROD_STEP(LANE)                                                                                            \
    {                                                                                                                 \
        if (column == 0) ahead = prefetch_step(ahead);                                                                \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < REGISTERS; i++) {                                        \
            uint8x16_t w = vld1q_u8(weights + 16 * i);                                                                \
            _Pragma("clang loop unroll(full)") for (int r = 0; r < rows; r++)                                           \
                sum[r][i] = vdotq_laneq_u32(sum[r][i], w, x[r], LANE);                                                \
        }                                                                                                             \
        weights += 4 * APUS_PANEL;                                                                                    \
    }
        for (; group + 4 <= groups; group += 4) {
#pragma clang loop unroll(full)
            for (int r = 0; r < rows; r++) {
                x[r] = vld1q_u8(a + r * a_stride + 4 * group);
                row_sums[r] = vdotq_u32(row_sums[r], x[r], ones);
            }
            DOTPROD_STEP(0) DOTPROD_STEP(1) DOTPROD_STEP(2) DOTPROD_STEP(3)
        }
        for (; group < groups; group++) {
#pragma clang loop unroll(full)
            for (int r = 0; r < rows; r++) {
                uint32_t four;
                __builtin_memcpy(&four, a + r * a_stride + 4 * group, sizeof four);
                x[r] = vreinterpretq_u8_u32(vsetq_lane_u32(four, vdupq_n_u32(0), 0));
                row_sums[r] = vdotq_u32(row_sums[r], x[r], ones);
            }
            DOTPROD_STEP(0)
        }
#undef DOTPROD_STEP
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            uint32x4_t excess = vdupq_n_u32(128 * vaddvq_u32(row_sums[r]));
#pragma clang loop unroll(full)
            for (int i = 0; i < REGISTERS; i++) {
                int32_t *place = &sums[r][column + 4 * i];
                int32x4_t total = vreinterpretq_s32_u32(vsubq_u32(sum[r][i], excess));
                vst1q_s32(place, accumulate ? vaddq_s32(total, vld1q_s32(place)) : total);
            }
        }
    }
}

#include "tile_u8s8.h"

uint64_t KERNEL(peak_u8s8)(uint64_t rounds) {
    enum { CHAINS = 24 }; // of 32 registers, whatever the tile: a worse tile must show beside the peak
    uint32x4_t sums[CHAINS];
    uint8x16_t x = vdupq_n_u8(3), w = vdupq_n_u8(5);
    for (int i = 0; i < CHAINS; i++) sums[i] = vdupq_n_u32((uint32_t)i);
    for (uint64_t round = 0; round < rounds; round++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < CHAINS; i++) sums[i] = vdotq_u32(sums[i], x, w);
    }
    for (int i = 1; i < CHAINS; i++) sums[0] = vaddq_u32(sums[0], sums[i]);
    volatile uint32_t kept = vaddvq_u32(sums[0]);
    (void)kept;
    return rounds * CHAINS * 16 * 2;
}
