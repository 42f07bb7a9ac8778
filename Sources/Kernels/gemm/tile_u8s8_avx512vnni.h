// AVX-512 VNNI: a register of sums holds 16 columns. See tile_u8s8.h. Included by isa/avx512vnni.c.
#include "prefetch.h"

enum { U8S8_ROWS = 6, REGISTERS = APUS_PANEL / 16 }; // 6 · 4 sums, 4 of weights and 1 of activations: 29 of 32 registers
enum { U8S8_PACK = 4, U8S8_INNER = 4, U8S8_FLIP = 0, U8S8_FEW_TILES = 3, U8S8_PIECE_BYTES = 8192 };

APUS_INLINE void tile_u8s8(const int rows, const int columns, const uint8_t *a, size_t a_stride, const int8_t *b,
                           size_t groups, prefetch ahead, int32_t sums[][APUS_PANEL], int accumulate) {
    __m512i sum[U8S8_ROWS][REGISTERS];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int i = 0; i < columns / 16; i++)
            sum[r][i] = accumulate ? _mm512_loadu_si512(&sums[r][16 * i]) : _mm512_setzero_si512();
    for (size_t group = 0; group < groups; group++, b += 4 * APUS_PANEL) {
        __m512i w[REGISTERS];
#pragma clang loop unroll(full)
        for (int i = 0; i < columns / 16; i++) w[i] = _mm512_loadu_si512(b + 64 * i);
        ahead = prefetch_step(ahead);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            int32_t four;
            __builtin_memcpy(&four, a + r * a_stride + group * 4, sizeof four);
            __m512i x = _mm512_set1_epi32(four);
#pragma clang loop unroll(full)
            for (int i = 0; i < columns / 16; i++) sum[r][i] = _mm512_dpbusd_epi32(sum[r][i], x, w[i]);
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int i = 0; i < columns / 16; i++) _mm512_storeu_si512(&sums[r][16 * i], sum[r][i]);
}

#include "tile_u8s8.h"

uint64_t KERNEL(peak_u8s8)(uint64_t rounds) {
    enum { CHAINS = 24 }; // of 32 registers, whatever the tile: a worse tile must show beside the peak
    __m512i sums[CHAINS];
    __m512i x = _mm512_set1_epi8(3), w = _mm512_set1_epi8(-5);
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_set1_epi32(i);
    for (uint64_t round = 0; round < rounds; round++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_dpbusd_epi32(sums[i], x, w);
    }
    for (int i = 1; i < CHAINS; i++) sums[0] = _mm512_add_epi32(sums[0], sums[i]);
    volatile int32_t kept = _mm512_reduce_add_epi32(sums[0]);
    (void)kept;
    return rounds * CHAINS * 64 * 2;
}
