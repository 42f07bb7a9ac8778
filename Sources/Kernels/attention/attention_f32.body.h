// softmax and attention. Included by isa/f32.body.h.
#include "../gemm/tile_f32.h"

void KERNEL(softmax_f32)(float *x, size_t count) {
    lanes16 largest = (lanes16)-__builtin_inff();
    for (size_t i = 0; i < count; i += LANES) {
        lanes16 y = i + LANES <= count ? lanes_load(x + i) : lanes_load_part(x + i, count - i, -__builtin_inff());
        largest = lanes_max(largest, y);
    }
    lanes16 shift = (lanes16)lanes_largest(largest);
    lanes16 sum = (lanes16)0.0f;
    for (size_t i = 0; i < count; i += LANES) {
        size_t rest = count - i;
        lanes16 y = rest >= LANES ? lanes_load(x + i) : lanes_load_part(x + i, rest, 0.0f);
        y = lanes_exp(y - shift);
        if (rest >= LANES) lanes_store(x + i, y);
        else lanes_store_part(x + i, y = lanes_keep(y, rest, 0.0f), rest);
        sum += y;
    }
    float share = 1.0f / lanes_sum(sum);
    for (size_t i = 0; i < count; i++) x[i] *= share;
}

/// Replaces x by exp(scale · (x − max x)) and returns the sum; x is whole vectors, 0 from `count` on afterwards.
APUS_INLINE float exponentials(float *x, size_t count, float scale) {
    size_t last = (count - 1) / LANES * LANES;
    lanes16 largest = lanes_keep(lanes_load(x + last), count - last, -__builtin_inff());
    for (size_t i = 0; i < last; i += LANES) largest = lanes_max(largest, lanes_load(x + i));
    lanes16 shift = (lanes16)lanes_largest(largest);
    lanes16 sum = (lanes16)0.0f;
    for (size_t i = 0; i < last; i += LANES) {
        lanes16 y = lanes_exp((lanes_load(x + i) - shift) * scale);
        lanes_store(x + i, y);
        sum += y;
    }
    lanes16 y = lanes_keep(lanes_exp((lanes_load(x + last) - shift) * scale), count - last, 0.0f);
    lanes_store(x + last, y);
    return lanes_sum(sum + y);
}

/// x = scale · x + bias; whole vectors of x are written, whatever lies past `count`.
APUS_INLINE void add_bias(float *x, size_t count, float scale, const float *bias) {
    for (size_t i = 0; i < count; i += LANES) {
        lanes16 b = i + LANES <= count ? lanes_load(bias + i) : lanes_load_part(bias + i, count - i, 0.0f);
        lanes_store(x + i, lanes_fma(lanes_load(x + i), (lanes16)scale, b));
    }
}

/// Rows become columns: x[i] lane j and x[j] lane i change places.
APUS_INLINE void transpose(lanes16 x[LANES]) {
#define TRANSPOSE_STEP(DISTANCE, LOW, HIGH)                                                                           \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < LANES; i++) if (!(i & (DISTANCE))) {                         \
        lanes16 a = x[i], b = x[i + (DISTANCE)];                                                                      \
        x[i] = LOW;                                                                                                   \
        x[i + (DISTANCE)] = HIGH;                                                                                     \
    }
    TRANSPOSE_STEP(8, __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
                   __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
    TRANSPOSE_STEP(4, __builtin_shufflevector(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
                   __builtin_shufflevector(a, b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
    TRANSPOSE_STEP(2, __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
                   __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
    TRANSPOSE_STEP(1, __builtin_shufflevector(a, b, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30),
                   __builtin_shufflevector(a, b, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
#undef TRANSPOSE_STEP
}

/// kt[c][j] = k[j][c], rows of `stride` ≥ keys rounded up to whole vectors; 0 from `keys` on.
static void transpose_keys(const float *k, size_t k_stride, size_t keys, size_t head_size, float *kt, size_t stride) {
    for (size_t j = 0; j < keys; j += LANES)
        for (size_t c = 0; c < head_size; c += LANES) {
            lanes16 block[LANES];
            size_t width = head_size - c < LANES ? head_size - c : LANES;
#pragma clang loop unroll(full)
            for (size_t i = 0; i < LANES; i++) {
                const float *row = k + (j + i) * k_stride + c;
                if (j + i >= keys) block[i] = (lanes16)0.0f;
                else block[i] = width == LANES ? lanes_load(row) : lanes_load_part(row, width, 0.0f);
            }
            transpose(block);
#pragma clang loop unroll(full)
            for (size_t i = 0; i < LANES; i++)
                if (i < width) lanes_store(kt + (c + i) * stride + j, block[i]);
        }
}

APUS_INLINE void any_product(size_t rows, size_t columns, const float *a, size_t a_stride, const float *b, size_t b_stride,
                             size_t inner, float *c, size_t c_stride) {
    size_t vectors = (columns + LANES - 1) / LANES;
    for (size_t v = 0; v < vectors; v += F32_VECTORS)
        any_tile_f32(rows, vectors - v < F32_VECTORS ? vectors - v : F32_VECTORS, a, a_stride, b + v * LANES, b_stride,
                     inner, (prefetch){0}, c + v * LANES, c_stride, 0);
}

/// All scratch of one head, as offsets in floats.
typedef struct {
    size_t padded_keys, padded_head;
    size_t keys;   // [head_size][padded_keys]: transposed
    size_t scores; // [F32_ROWS][padded_keys]
    size_t sums;   // [F32_ROWS][padded_head]
    size_t values; // [keys][padded_head], where a head is no whole vectors
    size_t end;
} attention_f32_layout;

APUS_INLINE attention_f32_layout lay_out_attention_f32(size_t keys, size_t head_size) {
    attention_f32_layout l;
    l.padded_keys = (keys + LANES - 1) / LANES * LANES;
    l.padded_head = (head_size + LANES - 1) / LANES * LANES;
    l.keys = 0;
    l.scores = l.keys + head_size * l.padded_keys;
    l.sums = l.scores + F32_ROWS * l.padded_keys;
    l.values = l.sums + F32_ROWS * l.padded_head;
    l.end = l.values + (l.padded_head == head_size ? 0 : keys * l.padded_head);
    return l;
}

size_t KERNEL(attention_f32_scratch)(size_t keys, size_t head_size) { return lay_out_attention_f32(keys, head_size).end; }

void KERNEL(attention_f32)(const float *q, size_t q_stride, size_t queries, const float *k, const float *v,
                           size_t kv_stride, size_t keys, size_t head_size, float scale,
                           const apus_score_bias *bias, float *scratch, float *out, size_t out_stride) {
    const attention_f32_layout layout = lay_out_attention_f32(keys, head_size);
    size_t padded_keys = layout.padded_keys, padded_head = layout.padded_head;
    float *kt = scratch + layout.keys, *scores = scratch + layout.scores, *sums = scratch + layout.sums;
    float *padded_v = scratch + layout.values;

    transpose_keys(k, kv_stride, keys, head_size, kt, padded_keys);
    size_t v_stride = kv_stride;
    if (padded_head != head_size) {
        memset(padded_v, 0, keys * padded_head * sizeof *padded_v);
        for (size_t j = 0; j < keys; j++) memcpy(padded_v + j * padded_head, v + j * kv_stride, head_size * sizeof *v);
        v = padded_v;
        v_stride = padded_head;
    }
    for (size_t i = 0, height; i < queries; i += height) {
        height = tile_height(queries - i, F32_ROWS);
        any_product(height, keys, q + i * q_stride, q_stride, kt, padded_keys, head_size, scores, padded_keys);
        float share[F32_ROWS];
        if (bias)
            for (size_t r = 0; r < height; r++)
                add_bias(scores + r * padded_keys, keys, scale, bias->values + (ptrdiff_t)(i + r) * bias->stride);
        for (size_t r = 0; r < height; r++)
            share[r] = 1.0f / exponentials(scores + r * padded_keys, keys, bias ? 1.0f : scale);
        any_product(height, head_size, scores, padded_keys, v, v_stride, keys, sums, padded_head);
        for (size_t r = 0; r < height; r++)
            for (size_t c = 0; c < head_size; c += LANES) {
                lanes16 y = lanes_load(sums + r * padded_head + c) * share[r];
                float *place = out + (i + r) * out_stride + c;
                if (c + LANES <= head_size) lanes_store(place, y);
                else lanes_store_part(place, y, head_size - c);
            }
    }
}
