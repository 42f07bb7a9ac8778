// The f32 peak. Included by isa/f32.body.h.
#include "../vector/lanes16.h"

uint64_t KERNEL(peak_f32)(uint64_t rounds) {
    enum { CHAINS = F32_PEAK_SUMS };
    lanes16 sums[CHAINS];
    lanes16 x = (lanes16)0.5f, y = (lanes16)0.25f;
    for (int i = 0; i < CHAINS; i++) sums[i] = (lanes16)(float)i;
    for (uint64_t round = 0; round < rounds; round++) {
#pragma clang loop unroll(full)
        for (int i = 0; i < CHAINS; i++) {
            sums[i] = lanes_fma(x, sums[i], y);
        }
    }
    lanes16 total = sums[0];
    for (int i = 1; i < CHAINS; i++) total += sums[i];
    volatile float kept = lanes_sum(total);
    (void)kept;
    return rounds * CHAINS * LANES * 2;
}
