// NEON without dot products: bytes to 16 bits, added in pairs to 32. See tile_u8s8.h. Included by isa/neon.c.
#include "prefetch.h"

enum { U8S8_ROWS = 2, COLUMNS = 16, REGISTERS = COLUMNS / 2 }; // 2 · 8 sums of 32 registers
enum { U8S8_PACK = 4, U8S8_INNER = 4, U8S8_FLIP = 0x80, U8S8_FEW_TILES = 3, U8S8_PIECE_BYTES = 8192 };

/// Weights are w + 128, as for neon_dotprod: 255 · 255 fits 16 bits. A register of sums holds two columns, two partial sums
/// each.
APUS_INLINE void tile_u8s8(const int rows, const int columns, const uint8_t *a, size_t a_stride, const int8_t *b,
                           size_t groups, prefetch ahead, int32_t sums[][APUS_PANEL], int accumulate) {
    (void)ahead; // memory is not what limits it
    for (int column = 0; column < columns; column += COLUMNS) {
        uint32x4_t sum[U8S8_ROWS][REGISTERS];
        uint32_t row_sums[U8S8_ROWS] = {0};
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
            for (int i = 0; i < REGISTERS; i++) sum[r][i] = vdupq_n_u32(0);
        for (size_t group = 0; group < groups; group++) {
            const uint8_t *weights = (const uint8_t *)b + (group * APUS_PANEL + column) * 4;
            uint8x16_t x[U8S8_ROWS];
#pragma clang loop unroll(full)
            for (int r = 0; r < rows; r++) {
                uint32_t four;
                __builtin_memcpy(&four, a + r * a_stride + 4 * group, sizeof four);
                x[r] = vreinterpretq_u8_u32(vdupq_n_u32(four));
                row_sums[r] += vaddlv_u8(vget_low_u8(x[r])) / 2; // the four stand there twice
            }
#pragma clang loop unroll(full)
            for (int i = 0; i < REGISTERS; i += 2) {
                uint8x16_t w = vld1q_u8(weights + 8 * i);
#pragma clang loop unroll(full)
                for (int r = 0; r < rows; r++) {
                    sum[r][i] = vpadalq_u16(sum[r][i], vmull_u8(vget_low_u8(w), vget_low_u8(x[r])));
                    sum[r][i + 1] = vpadalq_u16(sum[r][i + 1], vmull_high_u8(w, x[r]));
                }
            }
        }
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            uint32x4_t excess = vdupq_n_u32(128 * row_sums[r]);
#pragma clang loop unroll(full)
            for (int i = 0; i < REGISTERS; i += 2) {
                int32_t *place = &sums[r][column + 2 * i];
                int32x4_t total = vreinterpretq_s32_u32(vsubq_u32(vpaddq_u32(sum[r][i], sum[r][i + 1]), excess));
                vst1q_s32(place, accumulate ? vaddq_s32(total, vld1q_s32(place)) : total);
            }
        }
    }
}

#include "tile_u8s8.h"

uint64_t KERNEL(peak_u8s8)(uint64_t rounds) {
    enum { CHAINS = 24 }; // of 32 registers, whatever the tile: a worse tile must show beside the peak
    uint32x4_t sums[CHAINS];
    uint8x8_t x = vdup_n_u8(3), w = vdup_n_u8(5);
    for (int i = 0; i < CHAINS; i++) sums[i] = vdupq_n_u32((uint32_t)i);
    for (uint64_t round = 0; round < rounds; round++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < CHAINS; i++) {
            __asm__ volatile("" : "+w"(x)); // or the product would be taken once for all
            sums[i] = vpadalq_u16(sums[i], vmull_u8(x, w));
        }
    }
    for (int i = 1; i < CHAINS; i++) sums[0] = vaddq_u32(sums[0], sums[i]);
    volatile uint32_t kept = vaddvq_u32(sums[0]);
    (void)kept;
    return rounds * CHAINS * 8 * 2;
}
