#if defined(__x86_64__)
#include <immintrin.h>

#include "../include/apus_kernels.h"
#include "../vector/isa_avx512vnni.h"
#include "tile_u8s8_avx512vnni.h"
#include "gemm_u8s8.body.h"

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

#include "../vector/isa_end.h"
#endif
