#if defined(__x86_64__)
#include <immintrin.h>

#include "../include/apus_kernels.h"
#include "../vector/isa_avx512vnni.h"
#include "prefetch.h"

enum { U8S8_ROWS = 6, REGISTERS = APUS_PANEL / 16 }; // 6 · 4 sums, 4 of weights and 1 of activations: 29 of 32 registers

APUS_INLINE void tile_u8s8(const int rows, const uint8_t *a, size_t a_stride, const int8_t *b, size_t groups,
                           prefetch ahead, int32_t sums[][APUS_PANEL], int accumulate) {
    __m512i sum[U8S8_ROWS][REGISTERS];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int i = 0; i < REGISTERS; i++) sum[r][i] = accumulate ? _mm512_loadu_si512(&sums[r][16 * i]) : _mm512_setzero_si512();
    for (size_t group = 0; group < groups; group++, b += 4 * APUS_PANEL) {
        __m512i w[REGISTERS];
#pragma clang loop unroll(full)
        for (int i = 0; i < REGISTERS; i++) w[i] = _mm512_loadu_si512(b + 64 * i);
        ahead = prefetch_step(ahead);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            int32_t four;
            __builtin_memcpy(&four, a + r * a_stride + group * 4, sizeof four);
            __m512i x = _mm512_set1_epi32(four);
#pragma clang loop unroll(full)
            for (int i = 0; i < REGISTERS; i++) sum[r][i] = _mm512_dpbusd_epi32(sum[r][i], x, w[i]);
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int i = 0; i < REGISTERS; i++) _mm512_storeu_si512(&sums[r][16 * i], sum[r][i]);
}

#include "gemm_u8s8.body.h"

uint64_t KERNEL(peak_u8s8)(uint64_t rounds) {
    enum { CHAINS = U8S8_ROWS * REGISTERS };
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

#include "../vector/isa_end.h"
#endif
