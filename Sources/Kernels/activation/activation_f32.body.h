// gelu and tanh; the including file has opened a target region and defined KERNEL(name).
#include "../vector/lanes16.h"

/// x·Φ(x) = x − x·E for x ≥ 0 and x·E below, E = erfc(|x|/√2)/2: no cancellation on either side.
APUS_INLINE lanes16 lanes_gelu(lanes16 x) {
    lanes16 tail = lanes_erfc_positive(lanes_absolute(x) * 0.70710678118654752f) * 0.5f;
    lanes16 lower = x * tail;
    return x >= 0.0f ? x - lower : lower;
}

/// tanh x = sign(x)·(1 − 2/(e^{2|x|} + 1)); 1 in f32 from |x| = 9 on.
APUS_INLINE lanes16 lanes_tanh(lanes16 x) {
    lanes16 magnitude = lanes_absolute(x);
    lanes16 clamped = lanes_min(magnitude, (lanes16)10.0f);
    lanes16 y = 1.0f - 2.0f / (lanes_exp(clamped + clamped) + 1.0f);
    y = magnitude == magnitude ? y : x; // NaN stays NaN
    return x >= 0.0f ? y : -y;
}

void KERNEL(gelu_f32)(float *x, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) lanes_store(x + i, lanes_gelu(lanes_load(x + i)));
    if (i < count) lanes_store_part(x + i, lanes_gelu(lanes_load_part(x + i, count - i, 0.0f)), count - i);
}

void KERNEL(tanh_f32)(float *x, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) lanes_store(x + i, lanes_tanh(lanes_load(x + i)));
    if (i < count) lanes_store_part(x + i, lanes_tanh(lanes_load_part(x + i, count - i, 0.0f)), count - i);
}
