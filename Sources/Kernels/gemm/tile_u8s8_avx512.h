// AVX-512 without VNNI: as on AVX2, twice as wide. See tile_u8s8.h. Included by isa/avx512.c.
#include "prefetch.h"

enum { U8S8_ROWS = 6, COLUMNS = 32, REGISTERS = COLUMNS / 8 }; // 6 · 4 sums of 32 registers
enum { U8S8_PACK = 4, U8S8_INNER = 4, U8S8_FLIP = 0, U8S8_FEW_TILES = 3, U8S8_PIECE_BYTES = 8192 };

/// As on AVX2, twice as wide: a register holds eight columns, two partial sums each.
APUS_INLINE void tile_u8s8(const int rows, const int columns, const uint8_t *a, size_t a_stride, const int8_t *b,
                           size_t groups, prefetch ahead, int32_t sums[][APUS_PANEL], int accumulate) {
    (void)ahead; // the hardware's prefetching keeps up
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    for (int column = 0; column < columns; column += COLUMNS) {
        __m512i sum[U8S8_ROWS][REGISTERS];
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
            for (int i = 0; i < REGISTERS; i++) sum[r][i] = _mm512_setzero_si512();
        for (size_t group = 0; group < groups; group++) {
            const int8_t *weights = b + (group * APUS_PANEL + column) * 4;
            __m512i w[REGISTERS];
#pragma clang loop unroll(full)
            for (int i = 0; i < REGISTERS; i++)
                w[i] = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(weights + 32 * i)));
#pragma clang loop unroll(full)
            for (int r = 0; r < rows; r++) {
                int32_t four;
                __builtin_memcpy(&four, a + r * a_stride + group * 4, sizeof four);
                __m512i x = _mm512_cvtepu8_epi16(_mm256_set1_epi32(four));
#pragma clang loop unroll(full)
                for (int i = 0; i < REGISTERS; i++)
                    sum[r][i] = _mm512_add_epi32(sum[r][i], _mm512_madd_epi16(x, w[i]));
            }
        }
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
            for (int i = 0; i < REGISTERS; i += 2) {
                __m512i total = _mm512_add_epi32(_mm512_permutex2var_epi32(sum[r][i], even, sum[r][i + 1]),
                                                 _mm512_permutex2var_epi32(sum[r][i], odd, sum[r][i + 1]));
                int32_t *place = &sums[r][column + 8 * i];
                _mm512_storeu_si512(place, accumulate ? _mm512_add_epi32(total, _mm512_loadu_si512(place)) : total);
            }
    }
}

#include "tile_u8s8.h"

uint64_t KERNEL(peak_u8s8)(uint64_t rounds) {
    enum { CHAINS = 24 }; // of 32 registers, whatever the tile: a worse tile must show beside the peak
    __m512i sums[CHAINS];
    __m512i x = _mm512_set1_epi16(3), w = _mm512_set1_epi16(-5);
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_set1_epi32(i);
    for (uint64_t round = 0; round < rounds; round++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < CHAINS; i++) {
            __asm__ volatile("" : "+v"(x)); // or the product would be taken once for all
            sums[i] = _mm512_add_epi32(sums[i], _mm512_madd_epi16(x, w));
        }
    }
    for (int i = 1; i < CHAINS; i++) sums[0] = _mm512_add_epi32(sums[0], sums[i]);
    volatile int32_t kept = _mm512_reduce_add_epi32(sums[0]);
    (void)kept;
    return rounds * CHAINS * 32 * 2;
}
