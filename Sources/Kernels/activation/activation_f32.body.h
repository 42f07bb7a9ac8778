// The activations. Included by isa/f32.body.h.
#include "gelu.h"

/// tanh x = sign(x)·(1 − 2/(e^{2|x|} + 1)); 1 in f32 from |x| = 9 on.
APUS_INLINE lanes16 lanes_tanh(lanes16 x) {
    lanes16 magnitude = lanes_min((lanes16)10.0f, lanes_absolute(x));
    lanes16 y = 1.0f - 2.0f / (lanes_exp(magnitude + magnitude) + 1.0f);
    return x >= 0.0f ? y : -y;
}

/// x / (1 + exp(−y)), y of x's sign; 0 from y = −87 down, −∞ included.
APUS_INLINE lanes16 lanes_times_sigmoid(lanes16 x, lanes16 y) {
    lanes16 product = x / (1.0f + lanes_exp(-y));
    return y <= -87.0f ? (lanes16)0.0f : product; // −∞ / exp(88) is not 0
}

APUS_INLINE lanes16 lanes_silu(lanes16 x) { return lanes_times_sigmoid(x, x); }

/// (1 + tanh u) / 2 = 1 / (1 + exp(−2u))
APUS_INLINE lanes16 lanes_gelu_tanh(lanes16 x) {
    lanes16 cube = x * x * x;
    return lanes_times_sigmoid(x, lanes_fma(cube, (lanes16)0.044715f, x) * 1.5957691216057308f);
}

/// Zero first: where neither is larger, the second one stays, and that is how NaN does.
APUS_INLINE lanes16 lanes_relu(lanes16 x) { return lanes_max((lanes16)0.0f, x); }

#define DEFINE_ACTIVATION(name)                                                                                       \
    void KERNEL(name##_f32)(float *x, size_t count) {                                                                 \
        size_t i = 0;                                                                                                 \
        for (; i + LANES <= count; i += LANES) lanes_store(x + i, lanes_##name(lanes_load(x + i)));                   \
        if (i < count) lanes_store_part(x + i, lanes_##name(lanes_load_part(x + i, count - i, 0.0f)), count - i);     \
    }
DEFINE_ACTIVATION(gelu)
DEFINE_ACTIVATION(gelu_tanh)
DEFINE_ACTIVATION(silu)
DEFINE_ACTIVATION(relu)
DEFINE_ACTIVATION(tanh)
#undef DEFINE_ACTIVATION
