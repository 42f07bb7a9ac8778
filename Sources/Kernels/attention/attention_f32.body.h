// softmax and attention; the including file has opened a target region and defined KERNEL(name).
#include "../vector/lanes16.h"

/// Replaces x by exp(x − max x) and returns the sum.
APUS_INLINE float exponentials(float *x, size_t count) {
    const float lowest = -__builtin_inff();
    size_t whole = count / LANES * LANES;
    size_t rest = count - whole;
    lanes16 largest = (lanes16)lowest;
    for (size_t i = 0; i < whole; i += LANES) largest = lanes_max(largest, lanes_load(x + i));
    if (rest) largest = lanes_max(largest, lanes_load_part(x + whole, rest, lowest));
    lanes16 shift = (lanes16)lanes_largest(largest);
    lanes16 sum = (lanes16)0.0f;
    for (size_t i = 0; i < whole; i += LANES) {
        lanes16 y = lanes_exp(lanes_load(x + i) - shift);
        lanes_store(x + i, y);
        sum += y;
    }
    if (rest) {
        lanes16 y = lanes_exp(lanes_load_part(x + whole, rest, lowest) - shift);
        lanes_store_part(x + whole, y, rest);
        sum += lanes_load_part(x + whole, rest, 0.0f);
    }
    return lanes_sum(sum);
}

APUS_INLINE float dot(const float *a, const float *b, size_t count) {
    lanes16 sum = (lanes16)0.0f;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) sum = lanes_fma(lanes_load(a + i), lanes_load(b + i), sum);
    if (i < count)
        sum = lanes_fma(lanes_load_part(a + i, count - i, 0.0f), lanes_load_part(b + i, count - i, 0.0f), sum);
    return lanes_sum(sum);
}

void KERNEL(softmax_f32)(float *x, size_t count) {
    float share = 1.0f / exponentials(x, count);
    for (size_t i = 0; i < count; i++) x[i] *= share;
}

void KERNEL(attention_f32)(const float *q, size_t q_stride, size_t queries, const float *k, const float *v,
                           size_t kv_stride, size_t keys, size_t head_size, float scale, float *scores, float *out,
                           size_t out_stride) {
    for (size_t i = 0; i < queries; i++) {
        for (size_t j = 0; j < keys; j++) scores[j] = dot(q + i * q_stride, k + j * kv_stride, head_size) * scale;
        float share = 1.0f / exponentials(scores, keys);
        size_t c = 0;
        for (; c + LANES <= head_size; c += LANES) {
            lanes16 sum = (lanes16)0.0f;
            for (size_t j = 0; j < keys; j++)
                sum = lanes_fma((lanes16)scores[j], lanes_load(v + j * kv_stride + c), sum);
            lanes_store(out + i * out_stride + c, sum * share);
        }
        if (c < head_size) {
            size_t rest = head_size - c;
            lanes16 sum = (lanes16)0.0f;
            for (size_t j = 0; j < keys; j++)
                sum = lanes_fma((lanes16)scores[j], lanes_load_part(v + j * kv_stride + c, rest, 0.0f), sum);
            lanes_store_part(out + i * out_stride + c, sum * share, rest);
        }
    }
}
