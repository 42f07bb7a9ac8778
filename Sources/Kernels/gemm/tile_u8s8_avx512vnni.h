// The int8 products' inner loop; see tile_u8s8.h. Include only inside the target region.
#ifndef APUS_TILE_U8S8_H
#define APUS_TILE_U8S8_H
#include "prefetch.h"

enum { U8S8_ROWS = 6, REGISTERS = APUS_PANEL / 16 }; // 6 · 4 sums, 4 of weights and 1 of activations: 29 of 32 registers

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
#endif
