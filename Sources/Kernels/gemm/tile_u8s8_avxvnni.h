// AVX-VNNI, 256 bits wide: a register of sums holds 8 columns. See tile_u8s8.h. Included by isa/avxvnni.c.
#include "prefetch.h"

enum { U8S8_ROWS = 3, COLUMNS = 32, REGISTERS = COLUMNS / 8 }; // 3 · 4 sums, 3 of activations, 1 of weights: 16
enum { U8S8_PACK = 4, U8S8_INNER = 4, U8S8_FLIP = 0, U8S8_FEW_TILES = 3, U8S8_PIECE_BYTES = 8192 };

APUS_INLINE void tile_u8s8(const int rows, const int columns, const uint8_t *a, size_t a_stride, const int8_t *b,
                           size_t groups, prefetch ahead, int32_t sums[][APUS_PANEL], int accumulate) {
    for (int column = 0; column < columns; column += COLUMNS) {
        __m256i sum[U8S8_ROWS][REGISTERS];
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
            for (int i = 0; i < REGISTERS; i++) {
                const __m256i *place = (const __m256i *)&sums[r][column + 8 * i];
                sum[r][i] = accumulate ? _mm256_loadu_si256(place) : _mm256_setzero_si256();
            }
        for (size_t group = 0; group < groups; group++) {
            const int8_t *weights = b + (group * APUS_PANEL + column) * 4;
            if (column == 0) ahead = prefetch_step(ahead);
            __m256i x[U8S8_ROWS];
#pragma clang loop unroll(full)
            for (int r = 0; r < rows; r++) {
                int32_t four;
                __builtin_memcpy(&four, a + r * a_stride + group * 4, sizeof four);
                x[r] = _mm256_set1_epi32(four);
            }
#pragma clang loop unroll(full)
            for (int i = 0; i < REGISTERS; i++) {
                __m256i w = _mm256_loadu_si256((const __m256i *)(weights + 32 * i));
#pragma clang loop unroll(full)
                for (int r = 0; r < rows; r++) sum[r][i] = _mm256_dpbusd_avx_epi32(sum[r][i], x[r], w);
            }
        }
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
            for (int i = 0; i < REGISTERS; i++) _mm256_storeu_si256((__m256i *)&sums[r][column + 8 * i], sum[r][i]);
    }
}

#include "tile_u8s8.h"

uint64_t KERNEL(peak_u8s8)(uint64_t rounds) {
    enum { CHAINS = 12 }; // of 16 registers, whatever the tile: a worse tile must show beside the peak
    __m256i sums[CHAINS];
    __m256i x = _mm256_set1_epi8(3), w = _mm256_set1_epi8(-5);
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm256_set1_epi32(i);
    for (uint64_t round = 0; round < rounds; round++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < CHAINS; i++) sums[i] = _mm256_dpbusd_avx_epi32(sums[i], x, w);
    }
    for (int i = 1; i < CHAINS; i++) sums[0] = _mm256_add_epi32(sums[0], sums[i]);
    volatile int32_t kept = _mm256_extract_epi32(sums[0], 0);
    (void)kept;
    return rounds * CHAINS * 32 * 2;
}
