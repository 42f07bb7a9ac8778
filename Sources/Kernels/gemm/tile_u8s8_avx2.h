// AVX2 has no product of bytes that does not saturate: 16-bit ones. See tile_u8s8.h. Included by isa/avx2.c.
#include "prefetch.h"

enum { U8S8_ROWS = 3, COLUMNS = 16, REGISTERS = COLUMNS / 4 }; // 3 · 4 sums of 16 registers
enum { U8S8_PACK = 4, U8S8_INNER = 4, U8S8_FLIP = 0, U8S8_FEW_TILES = 3, U8S8_PIECE_BYTES = 8192 };

/// Widened to 16 bits: |a·b + a'·b'| ≤ 2 · 255 · 128 fits vpmaddwd's 32, where vpmaddubsw's 16 would saturate.
/// A register holds four columns, two partial sums each.
APUS_INLINE void tile_u8s8(const int rows, const int columns, const uint8_t *a, size_t a_stride, const int8_t *b,
                           size_t groups, prefetch ahead, int32_t sums[][APUS_PANEL], int accumulate) {
    (void)ahead; // the hardware's prefetching keeps up
    for (int column = 0; column < columns; column += COLUMNS) {
        __m256i sum[U8S8_ROWS][REGISTERS];
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
            for (int i = 0; i < REGISTERS; i++) sum[r][i] = _mm256_setzero_si256();
        for (size_t group = 0; group < groups; group++) {
            const int8_t *weights = b + (group * APUS_PANEL + column) * 4;
            __m256i x[U8S8_ROWS];
#pragma clang loop unroll(full)
            for (int r = 0; r < rows; r++) {
                int32_t four;
                __builtin_memcpy(&four, a + r * a_stride + group * 4, sizeof four);
                x[r] = _mm256_cvtepu8_epi16(_mm_set1_epi32(four));
            }
#pragma clang loop unroll(full)
            for (int i = 0; i < REGISTERS; i++) {
                __m256i w = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(weights + 16 * i)));
#pragma clang loop unroll(full)
                for (int r = 0; r < rows; r++) sum[r][i] = _mm256_add_epi32(sum[r][i], _mm256_madd_epi16(x[r], w));
            }
        }
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
            for (int i = 0; i < REGISTERS; i++) {
                __m128i low = _mm256_castsi256_si128(sum[r][i]), high = _mm256_extracti128_si256(sum[r][i], 1);
                __m128i total = _mm_hadd_epi32(low, high);
                __m128i *place = (__m128i *)&sums[r][column + 4 * i];
                _mm_storeu_si128(place, accumulate ? _mm_add_epi32(total, _mm_loadu_si128(place)) : total);
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
