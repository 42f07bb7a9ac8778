// gelu and tanh. Included by isa/f32.body.h.
#include "gelu.h"

/// tanh x = sign(x)·(1 − 2/(e^{2|x|} + 1)); 1 in f32 from |x| = 9 on.
APUS_INLINE lanes16 lanes_tanh(lanes16 x) {
    lanes16 magnitude = lanes_min((lanes16)10.0f, lanes_absolute(x));
    lanes16 y = 1.0f - 2.0f / (lanes_exp(magnitude + magnitude) + 1.0f);
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
