// Weights into f32 panels, and to int8; see the header. Once for a model, so plain C.
#include <math.h>
#include <string.h>

#include "apus_kernels.h"

#pragma clang fp contract(off)

void apus_pack_f32(const float *w, size_t stride, size_t columns, size_t inner, float *panel) {
    enum { BLOCK = 16 }; // of k: a cache line of a row, and 16 of the panel
    if (columns < APUS_PANEL) memset(panel, 0, inner * APUS_PANEL * sizeof *panel);
    for (size_t block = 0; block < inner; block += BLOCK) {
        size_t end = block + BLOCK < inner ? block + BLOCK : inner;
        for (size_t n = 0; n < columns; n++)
            for (size_t k = block; k < end; k++) panel[k * APUS_PANEL + n] = w[n * stride + k];
    }
}

float apus_quantize_weights(const float *w, size_t count, int8_t *out) {
    float largest = 0, damage = 0;
    for (size_t i = 0; i < count; i++) {
        float magnitude = w[i] < 0 ? -w[i] : w[i];
        largest = magnitude > largest ? magnitude : largest;
        damage += w[i] * 0.0f; // NaN where w is not finite
    }
    float scale = largest / 127.0f;
    if (scale == 0) scale = 1;
    if (damage != 0) {
        memset(out, 0, count);
        return NAN;
    }
    const float round = 12582912.0f; // 1.5 · 2²³: adding it leaves the nearest integer
    for (size_t i = 0; i < count; i++) {
        float q = w[i] / scale + round - round;
        out[i] = (int8_t)(q > 127 ? 127 : q < -127 ? -127 : q);
    }
    return scale;
}
