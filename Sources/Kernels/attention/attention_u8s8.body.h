// Attention with int8 products. Included by isa/int8.body.h, behind a tile_u8s8_ISA.h.
#include "../quantization/quantize.h"

/// 65,535 · 2ᵗ for t ≤ 0, to the nearest whole number: relative error of 2ᵗ under 4e-6 before that. 0 from t = −17 on.
/// t = n + f: the Taylor series in f · ln 2, |f| ≤ ½, with 65,535 in its coefficients.
APUS_INLINE lanes16_bits lanes_numerator(lanes16 t) {
    t = lanes_max(t, (lanes16)-30.0f);
    lanes16 shifted = t + LANES_ROUNDING;
    lanes16 f = t - (shifted - LANES_ROUNDING);
    lanes16 p = (lanes16)(65535.0f * 1.3333558e-3f);
    p = lanes_fma(p, f, (lanes16)(65535.0f * 9.6181291e-3f));
    p = lanes_fma(p, f, (lanes16)(65535.0f * 5.5504109e-2f));
    p = lanes_fma(p, f, (lanes16)(65535.0f * 2.4022651e-1f));
    p = lanes_fma(p, f, (lanes16)(65535.0f * 6.9314718e-1f));
    p = lanes_fma(p, f, (lanes16)65535.0f);
    return lanes_round(lanes_from_bits(lanes_to_bits(p) + (lanes_whole(shifted) << 23)));
}

/// log₂ e: scores are powers of 2.
#define TWOS_PER_E 1.44269504088896341f

APUS_INLINE lanes16 load_up_to(const float *p, size_t count) {
    return count >= LANES ? lanes_load(p) : lanes_load_part(p, count, 0.0f);
}

/// 127 / largest, or 0 for a row so flat that this is not finite.
APUS_INLINE float steps_per_unit(float largest) { return largest < 1e-30f ? 0.0f : 127.0f / largest; }

APUS_INLINE size_t whole_steps(size_t steps) { return (steps + U8S8_INNER - 1) / U8S8_INNER * U8S8_INNER; }
APUS_INLINE size_t whole_panels(size_t columns) { return (columns + APUS_PANEL - 1) / APUS_PANEL * APUS_PANEL; }

/// Keys to int8, each with its own scale, packed as weights are: [keys/64] panels of `steps` (the head's) steps.
static void pack_keys(const float *k, size_t stride, size_t keys, size_t head_size, size_t steps, int8_t *panels,
                      int32_t *sums, float *scales) {
    for (size_t key = 0; key < keys; key++, k += stride) {
        lanes16 largest = (lanes16)0.0f, damage = (lanes16)0.0f;
        for (size_t c = 0; c < head_size; c += LANES) {
            lanes16 x = load_up_to(k + c, head_size - c);
            largest = lanes_max(lanes_absolute(x), largest);
            damage = lanes_fma(x, (lanes16)0.0f, damage);
        }
        float most = lanes_largest(largest);
        float steps_per_one = steps_per_unit(most);
        lanes16_bits sum = (lanes16_bits)0;
        int8_t *place = panels + key / APUS_PANEL * steps * APUS_PANEL + key % APUS_PANEL * U8S8_PACK;
        for (size_t c = 0; c < steps; c += LANES) {
            lanes16_bits q = (lanes16_bits)0;
            if (c < head_size) q = lanes_round(load_up_to(k + c, head_size - c) * steps_per_one);
            sum += q;
            int8_t bytes[LANES];
            lanes16_u8 narrow = __builtin_convertvector(q ^ U8S8_FLIP, lanes16_u8);
            memcpy(bytes, &narrow, LANES);
            for (size_t i = 0; i < LANES && c + i < steps; i += U8S8_PACK)
                memcpy(place + (c + i) * APUS_PANEL, bytes + i, U8S8_PACK);
        }
        uint32_t parts[LANES], total = 0; // unsigned: what a NaN was rounded to may wrap
        memcpy(parts, &sum, sizeof parts);
        for (size_t i = 0; i < LANES; i++) total += parts[i];
        sums[key] = (int32_t)total;
        scales[key] = most / 127.0f + lanes_sum(damage);
    }
}

/// Values to int8, each column with its own scale over all keys, packed as weights with the keys as steps: [head/64] panels
/// of `steps` steps, columns of a panel past the head's last whole vector untouched.
static void pack_values(const float *v, size_t stride, size_t keys, size_t head_size, size_t steps, int8_t *panels,
                        float *scales) {
    for (size_t c = 0; c < head_size; c += LANES) {
        size_t count = head_size - c;
        lanes16 largest = (lanes16)0.0f, damage = (lanes16)0.0f;
        for (size_t j = 0; j < keys; j++) {
            lanes16 x = load_up_to(v + j * stride + c, count);
            largest = lanes_max(lanes_absolute(x), largest);
            damage = lanes_fma(x, (lanes16)0.0f, damage);
        }
        lanes16 steps_per_one = largest < 1e-30f ? (lanes16)0.0f : (lanes16)127.0f / largest;
        lanes_store(scales + c, largest / 127.0f + damage);
        int8_t *place = panels + c / APUS_PANEL * steps * APUS_PANEL + c % APUS_PANEL * U8S8_PACK;
        for (size_t j = 0; j < steps; j += 4) {
            lanes16_bits four = (lanes16_bits)0; // a column's four steps in one number
            for (size_t i = 0; i < 4; i++) {
                lanes16_bits q = (lanes16_bits)0;
                if (j + i < keys) q = lanes_round(load_up_to(v + (j + i) * stride + c, count) * steps_per_one);
                four |= ((q & 255) ^ U8S8_FLIP) << (lanes16_bits)(int32_t)(8 * i);
            }
            int8_t *group = place + j / U8S8_PACK * U8S8_PACK * APUS_PANEL + j % U8S8_PACK;
            if (U8S8_PACK == 4) memcpy(group, &four, sizeof four);
            else
                for (size_t i = 0; i < LANES; i++) memcpy(group + i * U8S8_PACK, (const char *)&four + 4 * i, 4);
        }
    }
}

/// A panel's products become scores, the bias added, −∞ past the keys; `largest` keeps up. `rows` must be a constant here and below, so that
/// rows go side by side: one row's steps would wait for each other.
APUS_INLINE void scores_of_panel(const size_t rows, int32_t sums[][APUS_PANEL], const float *query_scales,
                                 const int32_t *query_zeros, const int32_t *key_sums, const float *key_scales, size_t keys,
                                 const float *bias, ptrdiff_t bias_stride, float *scores, size_t stride, lanes16 *largest) {
    for (size_t n = 0; n < APUS_PANEL && n < keys; n += LANES) {
        lanes16_bits sums_of_keys = lanes_load_bits(key_sums + n);
        lanes16 scales = lanes_load(key_scales + n);
#pragma clang loop unroll(full)
        for (size_t r = 0; r < rows; r++) {
            lanes16_bits product = lanes_load_bits(&sums[r][n]) - (lanes16_bits)query_zeros[r] * sums_of_keys;
            lanes16 score = __builtin_convertvector(product, lanes16) * (lanes16)query_scales[r] * scales;
            if (bias)
                score = lanes_fma(load_up_to(bias + (ptrdiff_t)r * bias_stride + n, keys - n), (lanes16)TWOS_PER_E, score);
            if (keys - n < LANES) score = lanes_keep(score, keys - n, -__builtin_inff());
            largest[r] = lanes_max(score, largest[r]);
            lanes_store(scores + r * stride + n, score);
        }
    }
}

/// Each key's numerator of the softmax beside the largest one's, in 16 bits: two bytes, for two products. Returns sums.
APUS_INLINE lanes16_bits numerators_of_rows(const size_t rows, const float *scores, size_t stride, size_t keys,
                                            const float *most, uint8_t *high, uint8_t *low) {
    lanes16_bits totals[TOGETHER];
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) totals[r] = (lanes16_bits)0;
    for (size_t n = 0; n < keys; n += LANES)
#pragma clang loop unroll(full)
        for (size_t r = 0; r < rows; r++) {
            lanes16_bits numerator = lanes_numerator(lanes_load(scores + r * stride + n) - (lanes16)most[r]);
            totals[r] += numerator;
            lanes16_u8 high_bytes = __builtin_convertvector(numerator >> 8, lanes16_u8);
            lanes16_u8 low_bytes = __builtin_convertvector(numerator, lanes16_u8);
            memcpy(high + r * stride + n, &high_bytes, LANES);
            memcpy(low + r * stride + n, &low_bytes, LANES);
        }
    int32_t result[LANES] = {0};
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
        __attribute__((ext_vector_type(8))) int32_t eight = totals[r].lo + totals[r].hi;
        __attribute__((ext_vector_type(4))) int32_t four = eight.lo + eight.hi;
        __attribute__((ext_vector_type(2))) int32_t two = four.lo + four.hi;
        result[r] = two.x + two.y;
    }
    return lanes_load_bits(result);
}

/// Rows of a tile that are taken together, between its products.
enum { BLOCK_ROWS = (int)U8S8_ROWS < (int)TOGETHER ? U8S8_ROWS : TOGETHER };
#define BLOCK_CASE(ROWS, STATEMENT)                                                                                   \
    case ROWS: { enum { COUNT = BLOCK_ROWS < ROWS ? 1 : ROWS }; STATEMENT; break; }
#define FOR_CONSTANT_ROWS(ROWS_NOW, STATEMENT)                                                                        \
    switch (ROWS_NOW) {                                                                                               \
        BLOCK_CASE(1, STATEMENT)                                                                                      \
        BLOCK_CASE(2, STATEMENT)                                                                                      \
        BLOCK_CASE(3, STATEMENT)                                                                                      \
        BLOCK_CASE(4, STATEMENT)                                                                                      \
        BLOCK_CASE(5, STATEMENT)                                                                                      \
        BLOCK_CASE(6, STATEMENT)                                                                                      \
    default: __builtin_unreachable();                                                                                 \
    }
_Static_assert(BLOCK_ROWS <= 6, "a block's heights are the cases above");

/// All scratch of one head, as offsets in bytes.
typedef struct {
    size_t padded_keys; // to whole panels, as columns of scores
    size_t key_steps;   // to whole steps, as steps of the products with values
    size_t head_steps;
    size_t key_scales;   // f32 [padded_keys]
    size_t key_sums;     // s32 [padded_keys]
    size_t value_scales; // f32 [whole_panels(head_size)]
    size_t scores;       // f32 [U8S8_ROWS][padded_keys]
    size_t keys;         // s8 panels [padded_keys/64] of head_steps
    size_t values;       // s8 panels [head_size/64] of key_steps
    size_t high, low;    // u8 [U8S8_ROWS][padded_keys]
    size_t queries;      // u8 [U8S8_ROWS][head_steps]
    size_t end;
} attention_u8s8_layout;

APUS_INLINE attention_u8s8_layout lay_out_attention_u8s8(size_t keys, size_t head_size) {
    attention_u8s8_layout l;
    size_t padded_head = whole_panels(head_size);
    l.padded_keys = whole_panels(keys);
    l.key_steps = whole_steps(keys);
    l.head_steps = whole_steps(head_size);
    l.key_scales = 0;
    l.key_sums = l.key_scales + l.padded_keys * sizeof(float);
    l.value_scales = l.key_sums + l.padded_keys * sizeof(int32_t);
    l.scores = l.value_scales + padded_head * sizeof(float);
    l.keys = l.scores + U8S8_ROWS * l.padded_keys * sizeof(float);
    l.values = l.keys + l.padded_keys * l.head_steps;
    l.high = l.values + padded_head * l.key_steps;
    l.low = l.high + U8S8_ROWS * l.padded_keys;
    l.queries = l.low + U8S8_ROWS * l.padded_keys;
    l.end = l.queries + U8S8_ROWS * l.head_steps;
    return l;
}
_Static_assert(APUS_PANEL % U8S8_INNER == 0, "a row of `high` or `low` is read up to key_steps ≤ padded_keys");

size_t KERNEL(attention_u8s8_scratch)(size_t keys, size_t head_size) {
    return (lay_out_attention_u8s8(keys, head_size).end + sizeof(float) - 1) / sizeof(float);
}

/// Queries `first` ..< `first` + `rows` to u8, each over its own range; rows ≤ BLOCK_ROWS.
APUS_INLINE void quantize_queries(size_t rows, const float *q, size_t stride, size_t head_size, size_t steps,
                                  uint8_t *bytes, float *scales, int32_t *zeros) {
    row_range ranges[BLOCK_ROWS];
    for (size_t r = 0; r < rows; r++) {
        ranges[r] = range_start();
        for (size_t c = 0; c < head_size; c += LANES)
            ranges[r] = range_add(ranges[r], load_up_to(q + r * stride + c, head_size - c));
        memset(bytes + r * steps + head_size, 0, steps - head_size);
    }
    quantize_rows(rows, q, stride, NULL, head_size, ranges, bytes, steps, scales, zeros);
}

void KERNEL(attention_u8s8)(const float *q, size_t q_stride, size_t queries, const float *k, const float *v,
                            size_t kv_stride, size_t keys, size_t head_size, float scale,
                            const apus_score_bias *bias, float *scratch, float *out, size_t out_stride) {
    enum { ROWS = U8S8_ROWS };
    const attention_u8s8_layout layout = lay_out_attention_u8s8(keys, head_size);
    char *base = (char *)scratch;
    float *key_scales = (float *)(base + layout.key_scales), *value_scales = (float *)(base + layout.value_scales);
    int32_t *key_sums = (int32_t *)(base + layout.key_sums);
    float *scores = (float *)(base + layout.scores);
    int8_t *key_panels = (int8_t *)(base + layout.keys), *value_panels = (int8_t *)(base + layout.values);
    uint8_t *high = (uint8_t *)(base + layout.high), *low = (uint8_t *)(base + layout.low);
    uint8_t *query_bytes = (uint8_t *)(base + layout.queries);
    size_t padded_keys = layout.padded_keys, key_steps = layout.key_steps, head_steps = layout.head_steps;

    pack_keys(k, kv_stride, keys, head_size, head_steps, key_panels, key_sums, key_scales);
    pack_values(v, kv_stride, keys, head_size, key_steps, value_panels, value_scales);
    lanes16 damage = (lanes16)0.0f;
    for (size_t j = 0; j < keys; j += LANES) {
        lanes16 scales = load_up_to(key_scales + j, keys - j);
        damage += scales * 0.0f;
        lanes16 scaled = scales * (scale * TWOS_PER_E); // powers of 2 from here on
        if (keys - j >= LANES) lanes_store(key_scales + j, scaled);
        else lanes_store_part(key_scales + j, scaled, keys - j);
    }
    float key_damage = lanes_sum(damage); // NaN where a key is not finite

    for (size_t i = 0, rows; i < queries; i += rows) {
        rows = tile_height(queries - i, ROWS);
        int32_t sums[ROWS][APUS_PANEL] __attribute__((aligned(64))), low_sums[ROWS][APUS_PANEL] __attribute__((aligned(64)));
        float query_scales[ROWS], share[ROWS];
        int32_t query_zeros[ROWS];
        lanes16 largest[ROWS];
        for (size_t r = 0, block; r < rows; r += block) {
            block = rows - r < BLOCK_ROWS ? rows - r : BLOCK_ROWS;
            quantize_queries(block, q + (i + r) * q_stride, q_stride, head_size, head_steps, query_bytes + r * head_steps,
                             query_scales + r, query_zeros + r);
        }
        for (size_t r = 0; r < rows; r++) largest[r] = (lanes16)-__builtin_inff();
        for (size_t first = 0; first < keys; first += APUS_PANEL) {
            size_t columns = keys - first < APUS_PANEL ? keys - first : APUS_PANEL;
            any_tile_u8s8(rows, columns, query_bytes, head_steps, key_panels + first * head_steps, head_steps / U8S8_PACK,
                          (prefetch){0}, sums, 0);
            for (size_t r = 0, block; r < rows; r += block) {
                block = rows - r < BLOCK_ROWS ? rows - r : BLOCK_ROWS;
                const float *row_bias = bias ? bias->values + (ptrdiff_t)(i + r) * bias->stride + first : NULL;
                FOR_CONSTANT_ROWS(block, scores_of_panel(COUNT, sums + r, query_scales + r, query_zeros + r,
                                                         key_sums + first, key_scales + first, keys - first, row_bias,
                                                         bias ? bias->stride : 0, scores + r * padded_keys + first,
                                                         padded_keys, largest + r))
            }
        }
        for (size_t r = 0, block; r < rows; r += block) {
            block = rows - r < BLOCK_ROWS ? rows - r : BLOCK_ROWS;
            float most[LANES] = {0}, scales[LANES] = {0}, shares[LANES];
            for (size_t n = 0; n < block; n++) {
                most[n] = lanes_largest(largest[r + n]);
                scales[n] = query_scales[r + n];
            }
            lanes16_bits totals = (lanes16_bits)0;
            FOR_CONSTANT_ROWS(block, totals = numerators_of_rows(COUNT, scores + r * padded_keys, padded_keys, keys, most,
                                                                 high + r * padded_keys, low + r * padded_keys))
            // NaN where a query, a key or a score was not finite.
            lanes16 damaged = lanes_load(scales) * 0.0f + lanes_load(most) * 0.0f + key_damage;
            lanes_store(shares, 1.0f / __builtin_convertvector(totals, lanes16) + damaged);
            memcpy(share + r, shares, block * sizeof *share);
        }
        for (size_t first = 0; first < head_size; first += APUS_PANEL) {
            const int8_t *panel = value_panels + first * key_steps;
            size_t columns = head_size - first < APUS_PANEL ? head_size - first : APUS_PANEL;
            any_tile_u8s8(rows, columns, high, padded_keys, panel, key_steps / U8S8_PACK, (prefetch){0}, sums, 0);
            any_tile_u8s8(rows, columns, low, padded_keys, panel, key_steps / U8S8_PACK, (prefetch){0}, low_sums, 0);
            for (size_t c = 0; c < columns; c += LANES)
                for (size_t r = 0; r < rows; r++) {
                    lanes16 y = lanes_fma(__builtin_convertvector(lanes_load_bits(&sums[r][c]), lanes16), (lanes16)256.0f,
                                          __builtin_convertvector(lanes_load_bits(&low_sums[r][c]), lanes16));
                    y = y * lanes_load(value_scales + first + c) * share[r];
                    float *place = out + (i + r) * out_stride + first + c;
                    if (c + LANES <= columns) lanes_store(place, y);
                    else lanes_store_part(place, y, columns - c);
                }
        }
    }
}
