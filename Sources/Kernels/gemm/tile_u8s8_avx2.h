// AVX2 has no product of bytes that does not saturate: 16-bit ones. See tile_u8s8.h. Included by isa/avx2.c.
#include "prefetch.h"

enum { U8S8_ROWS = 6, COLUMNS = 8, REGISTERS = COLUMNS / 4 }; // 6 · 2 sums, 2 of weights, 1 of activations, 1 product: 16
enum { U8S8_PACK = 4, U8S8_INNER = 4, U8S8_FLIP = 0, U8S8_FEW_TILES = 3, U8S8_PIECE_BYTES = 8192 };

/// Groups of steps whose weights (16 KB) and widened activations (3 KB) stay in the first-level cache for all columns.
enum { GROUPS = 64 };

/// `count` groups of a row in 16 bits.
APUS_INLINE void widen(const uint8_t *a, size_t count, uint16_t wide[][4]) {
    size_t group = 0;
    for (; group + 4 <= count; group += 4) {
        __m256i x = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(a + 4 * group)));
        _mm256_storeu_si256((__m256i *)wide[group], x);
    }
    for (; group < count; group++)
        for (int k = 0; k < 4; k++) wide[group][k] = a[4 * group + k];
}

/// In 16 bits: |a·b + a'·b'| ≤ 2 · 255 · 128 fits vpmaddwd's 32, where vpmaddubsw's 16 would saturate. A register of sums
/// holds four columns, two partial sums each. Activations are widened once, not for each of eight passes over columns.
APUS_INLINE void tile_u8s8(const int rows, const int columns, const uint8_t *a, size_t a_stride, const int8_t *b,
                           size_t groups, prefetch ahead, int32_t sums[][APUS_PANEL], int accumulate) {
    uint16_t wide[U8S8_ROWS][GROUPS][4];
    for (size_t first = 0; first < groups; first += GROUPS, accumulate = 1) {
        size_t count = groups - first < GROUPS ? groups - first : GROUPS;
        for (int r = 0; r < rows; r++) widen(a + r * a_stride + 4 * first, count, wide[r]);
        for (int column = 0; column < columns; column += COLUMNS) {
            const int8_t *weights = b + (first * APUS_PANEL + column) * 4;
            __m256i sum[U8S8_ROWS][REGISTERS];
#pragma clang loop unroll(full)
            for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
                for (int i = 0; i < REGISTERS; i++) sum[r][i] = _mm256_setzero_si256();
            for (size_t group = 0; group < count; group++, weights += 4 * APUS_PANEL) {
                if (column == 0) ahead = prefetch_step(ahead);
                __m256i w[REGISTERS];
#pragma clang loop unroll(full)
                for (int i = 0; i < REGISTERS; i++)
                    w[i] = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(weights + 16 * i)));
#pragma clang loop unroll(full)
                for (int r = 0; r < rows; r++) {
                    int64_t four;
                    __builtin_memcpy(&four, wide[r][group], sizeof four);
                    __m256i x = _mm256_set1_epi64x(four);
#pragma clang loop unroll(full)
                    for (int i = 0; i < REGISTERS; i++)
                        sum[r][i] = _mm256_add_epi32(sum[r][i], _mm256_madd_epi16(x, w[i]));
                }
            }
#pragma clang loop unroll(full)
            for (int r = 0; r < rows; r++) {
                __m256i total = _mm256_permute4x64_epi64(_mm256_hadd_epi32(sum[r][0], sum[r][1]), 0xD8); // 0, 2, 1, 3
                __m256i *place = (__m256i *)&sums[r][column];
                _mm256_storeu_si256(place, accumulate ? _mm256_add_epi32(total, _mm256_loadu_si256(place)) : total);
            }
        }
    }
}

#include "tile_u8s8.h"

uint64_t KERNEL(peak_u8s8)(uint64_t rounds) {
    enum { CHAINS = 12 }; // of 16 registers, whatever the tile: a worse tile must show beside the peak
    __m256i sums[CHAINS];
    __m256i x = _mm256_set1_epi16(3), w = _mm256_set1_epi16(-5);
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm256_set1_epi32(i);
    for (uint64_t round = 0; round < rounds; round++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < CHAINS; i++) {
            __asm__ volatile("" : "+x"(x)); // or the product would be taken once for all
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(x, w));
        }
    }
    for (int i = 1; i < CHAINS; i++) sums[0] = _mm256_add_epi32(sums[0], sums[i]);
    volatile int32_t kept = _mm256_extract_epi32(sums[0], 0);
    (void)kept;
    return rounds * CHAINS * 16 * 2;
}
