#if defined(__x86_64__)
#include <immintrin.h>

#include "../include/apus_kernels.h"
#include "../vector/isa_avx2.h"
#include "tile_u8s8_avx2.h"
#include "gemm_u8s8.body.h"

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

#include "../vector/isa_end.h"
#endif
