// Attention with int8 products; the including file has opened a target region, defined KERNEL(name) and included its
// tile_u8s8_ISA.h.
#include "../quantization/quantize.h"

/// Whole numbers nearest to x, |x| < 2²², ties to even.
APUS_INLINE lanes16_bits lanes_round(lanes16 x) {
    return lanes_to_bits(x + 12582912.0f) - (lanes16_bits)0x4B400000; // 1.5 · 2²³
}

/// 65,535 · 2ᵗ for t ≤ 0, to the nearest whole number: relative error of 2ᵗ under 4e-6 before that. 0 from t = −17 on.
/// t = n + f: the Taylor series in f · ln 2, |f| ≤ ½, with 65,535 in its coefficients.
APUS_INLINE lanes16_bits lanes_weight(lanes16 t) {
    t = lanes_max(t, (lanes16)-30.0f);
    lanes16 shifted = t + 12582912.0f;
    lanes16 f = t - (shifted - 12582912.0f);
    lanes16 p = (lanes16)(65535.0f * 1.3333558e-3f);
    p = lanes_fma(p, f, (lanes16)(65535.0f * 9.6181291e-3f));
    p = lanes_fma(p, f, (lanes16)(65535.0f * 5.5504109e-2f));
    p = lanes_fma(p, f, (lanes16)(65535.0f * 2.4022651e-1f));
    p = lanes_fma(p, f, (lanes16)(65535.0f * 6.9314718e-1f));
    p = lanes_fma(p, f, (lanes16)65535.0f);
    return lanes_round(lanes_from_bits(lanes_to_bits(p) + ((lanes_to_bits(shifted) - (lanes16_bits)0x4B400000) << 23)));
}

APUS_INLINE lanes16 load_up_to(const float *p, size_t count) {
    return count >= LANES ? lanes_load(p) : lanes_load_part(p, count, 0.0f);
}

/// 127 / largest, or 0 for a row so flat that this is not finite.
APUS_INLINE float steps_per_unit(float largest) { return largest < 1e-30f ? 0.0f : 127.0f / largest; }

/// Keys to int8, each with its own scale, packed as weights are: panels [keys/64][head/4][64][4].
static void pack_keys(const float *k, size_t stride, size_t keys, size_t head_size, int8_t *panels, int32_t *sums,
                      float *scales) {
    size_t groups = (head_size + 3) / 4;
    for (size_t key = 0; key < keys; key++, k += stride) {
        lanes16 largest = (lanes16)0.0f, damage = (lanes16)0.0f;
        for (size_t c = 0; c < head_size; c += LANES) {
            lanes16 x = load_up_to(k + c, head_size - c);
            largest = lanes_max(lanes_absolute(x), largest);
            damage = lanes_fma(x, (lanes16)0.0f, damage);
        }
        float most = lanes_largest(largest);
        float steps = steps_per_unit(most);
        lanes16_bits sum = (lanes16_bits)0;
        int8_t *place = panels + key / APUS_PANEL * groups * 4 * APUS_PANEL + key % APUS_PANEL * 4;
        for (size_t c = 0; c < head_size; c += LANES) {
            lanes16_bits q = lanes_round(load_up_to(k + c, head_size - c) * steps);
            sum += q;
            int8_t bytes[LANES];
            lanes16_u8 narrow = __builtin_convertvector(q, lanes16_u8);
            memcpy(bytes, &narrow, LANES);
            for (size_t i = 0; i < LANES / 4 && c + 4 * i < head_size; i++)
                memcpy(place + (c / 4 + i) * 4 * APUS_PANEL, bytes + 4 * i, 4);
        }
        uint32_t parts[LANES], total = 0; // unsigned: what a NaN was rounded to may wrap
        memcpy(parts, &sum, sizeof parts);
        for (size_t i = 0; i < LANES; i++) total += parts[i];
        sums[key] = (int32_t)total;
        scales[key] = most / 127.0f + lanes_sum(damage);
    }
}

/// Values to int8, each column with its own scale over all keys, packed as weights with the keys as steps: panels
/// [head/64][keys/4][64][4], columns of a panel past the head untouched.
static void pack_values(const float *v, size_t stride, size_t keys, size_t head_size, int8_t *panels, float *scales) {
    size_t groups = (keys + 3) / 4;
    for (size_t c = 0; c < head_size; c += LANES) {
        size_t count = head_size - c;
        lanes16 largest = (lanes16)0.0f, damage = (lanes16)0.0f;
        for (size_t j = 0; j < keys; j++) {
            lanes16 x = load_up_to(v + j * stride + c, count);
            largest = lanes_max(lanes_absolute(x), largest);
            damage = lanes_fma(x, (lanes16)0.0f, damage);
        }
        lanes16 steps = largest < 1e-30f ? (lanes16)0.0f : (lanes16)127.0f / largest;
        lanes_store(scales + c, largest / 127.0f + damage);
        int8_t *place = panels + (c / APUS_PANEL * groups * APUS_PANEL + c % APUS_PANEL) * 4;
        for (size_t group = 0; group < groups; group++) {
            lanes16_bits four = (lanes16_bits)0; // a column's four steps in one number
            for (size_t i = 0; i < 4 && group * 4 + i < keys; i++) {
                lanes16_bits q = lanes_round(load_up_to(v + (group * 4 + i) * stride + c, count) * steps);
                four |= (q & 255) << (lanes16_bits)(int32_t)(8 * i);
            }
            memcpy(place + group * 4 * APUS_PANEL, &four, sizeof four);
        }
    }
}

/// A panel's products become scores, −∞ past the keys; `largest` keeps up. `rows` must be a constant here and below, so that
/// rows go side by side: one row's steps would wait for each other.
APUS_INLINE void scores_of_panel(const size_t rows, int32_t sums[][APUS_PANEL], const float *query_scales,
                                 const int32_t *query_zeros, const int32_t *key_sums, const float *key_scales, size_t keys,
                                 float *scores, size_t stride, lanes16 *largest) {
    for (size_t n = 0; n < APUS_PANEL && n < keys; n += LANES) {
        lanes16_bits weight_sums = lanes_load_bits(key_sums + n);
        lanes16 scales = lanes_load(key_scales + n);
#pragma clang loop unroll(full)
        for (size_t r = 0; r < rows; r++) {
            lanes16_bits product = lanes_load_bits(&sums[r][n]) - (lanes16_bits)query_zeros[r] * weight_sums;
            lanes16 score = __builtin_convertvector(product, lanes16) * (lanes16)query_scales[r] * scales;
            if (keys - n < LANES) score = lanes_keep(score, keys - n, -__builtin_inff());
            largest[r] = lanes_max(score, largest[r]);
            lanes_store(scores + r * stride + n, score);
        }
    }
}

/// Each key's weight beside the largest one's, in 16 bits: two bytes, for two products. Returns their sums.
APUS_INLINE lanes16_bits weights_of_rows(const size_t rows, const float *scores, size_t stride, size_t keys,
                                         const float *most, uint8_t *high, uint8_t *low) {
    lanes16_bits totals[U8S8_ROWS];
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) totals[r] = (lanes16_bits)0;
    for (size_t n = 0; n < keys; n += LANES)
#pragma clang loop unroll(full)
        for (size_t r = 0; r < rows; r++) {
            lanes16_bits weight = lanes_weight(lanes_load(scores + r * stride + n) - (lanes16)most[r]);
            totals[r] += weight;
            lanes16_u8 high_bytes = __builtin_convertvector(weight >> 8, lanes16_u8);
            lanes16_u8 low_bytes = __builtin_convertvector(weight, lanes16_u8);
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

#define FOR_CONSTANT_ROWS(ROWS_NOW, STATEMENT)                                                                        \
    switch (ROWS_NOW) {                                                                                               \
    case 1: { enum { COUNT = 1 }; STATEMENT; break; }                                                                 \
    case 2: { enum { COUNT = U8S8_ROWS < 2 ? 1 : 2 }; STATEMENT; break; }                                             \
    case 3: { enum { COUNT = U8S8_ROWS < 3 ? 1 : 3 }; STATEMENT; break; }                                             \
    case 4: { enum { COUNT = U8S8_ROWS < 4 ? 1 : 4 }; STATEMENT; break; }                                             \
    case 5: { enum { COUNT = U8S8_ROWS < 5 ? 1 : 5 }; STATEMENT; break; }                                             \
    case 6: { enum { COUNT = U8S8_ROWS < 6 ? 1 : 6 }; STATEMENT; break; }                                             \
    default: __builtin_unreachable();                                                                                 \
    }

void KERNEL(attention_u8s8)(const float *q, size_t q_stride, size_t queries, const float *k, const float *v,
                            size_t kv_stride, size_t keys, size_t head_size, float scale, float *scratch, float *out,
                            size_t out_stride) {
    enum { ROWS = U8S8_ROWS };
    size_t key_panels = (keys + APUS_PANEL - 1) / APUS_PANEL, padded_keys = key_panels * APUS_PANEL;
    size_t head_panels = (head_size + APUS_PANEL - 1) / APUS_PANEL;
    size_t head4 = (head_size + 3) / 4 * 4, keys4 = (keys + 3) / 4 * 4;
    // All scratch; apus_attention_scratch adds it up.
    float *key_scales = scratch;                            // [padded_keys]
    int32_t *key_sums = (int32_t *)key_scales + padded_keys; // [padded_keys]
    float *value_scales = (float *)(key_sums + padded_keys); // [head_panels · 64]
    float *scores = value_scales + head_panels * APUS_PANEL; // [ROWS][padded_keys]
    int8_t *key_panel = (int8_t *)(scores + ROWS * padded_keys);  // [key_panels][head4/4][64][4]
    int8_t *value_panel = key_panel + head4 * padded_keys;        // [head_panels][keys4/4][64][4]
    uint8_t *high = (uint8_t *)value_panel + keys4 * head_panels * APUS_PANEL; // [ROWS][padded_keys]
    uint8_t *low = high + ROWS * padded_keys;                                  // [ROWS][padded_keys]
    uint8_t *query_bytes = low + ROWS * padded_keys;                           // [ROWS][head4]

    pack_keys(k, kv_stride, keys, head_size, key_panel, key_sums, key_scales);
    pack_values(v, kv_stride, keys, head_size, value_panel, value_scales);
    lanes16 damage = (lanes16)0.0f;
    for (size_t j = 0; j < keys; j += LANES) {
        lanes16 scales = load_up_to(key_scales + j, keys - j);
        damage += scales * 0.0f;
        lanes16 scaled = scales * (scale * 1.44269504088896341f); // powers of 2 from here on
        if (keys - j >= LANES) lanes_store(key_scales + j, scaled);
        else lanes_store_part(key_scales + j, scaled, keys - j);
    }
    float key_damage = lanes_sum(damage); // NaN where a key is not finite

    for (size_t i = 0, rows; i < queries; i += rows) {
        rows = tile_height(queries - i, ROWS);
        float query_scale[LANES] = {0};
        int32_t query_zero[LANES] = {0}, sums[ROWS][APUS_PANEL] __attribute__((aligned(64)));
        row_range ranges[ROWS];
        for (size_t r = 0; r < rows; r++) {
            ranges[r] = range_start();
            for (size_t c = 0; c < head_size; c += LANES)
                ranges[r] = range_add(ranges[r], load_up_to(q + (i + r) * q_stride + c, head_size - c));
            for (size_t c = head_size; c < head4; c++) query_bytes[r * head4 + c] = 0;
        }
        quantize_rows(rows, q + i * q_stride, q_stride, head_size, ranges, query_bytes, head4, query_scale, query_zero);
        lanes16 largest[ROWS];
        for (size_t r = 0; r < rows; r++) largest[r] = (lanes16)-__builtin_inff();
        for (size_t panel = 0; panel < key_panels; panel++) {
            size_t first = panel * APUS_PANEL;
            any_tile_u8s8(rows, keys - first, query_bytes, head4, key_panel + head4 * first, head4 / 4, (prefetch){0}, sums,
                          0);
            FOR_CONSTANT_ROWS(rows, scores_of_panel(COUNT, sums, query_scale, query_zero, key_sums + first,
                                                    key_scales + first, keys - first, scores + first, padded_keys, largest))
        }
        float most[LANES] = {0}, share[LANES];
        for (size_t r = 0; r < rows; r++) most[r] = lanes_largest(largest[r]);
        lanes16_bits totals = (lanes16_bits)0;
        FOR_CONSTANT_ROWS(rows, totals = weights_of_rows(COUNT, scores, padded_keys, keys, most, high, low))
        // NaN where a query, a key or a score was not finite.
        lanes16 damaged = lanes_load(query_scale) * 0.0f + lanes_load(most) * 0.0f + key_damage;
        lanes_store(share, 1.0f / __builtin_convertvector(totals, lanes16) + damaged);
        for (size_t panel = 0; panel < head_panels; panel++) {
            int32_t low_sums[ROWS][APUS_PANEL] __attribute__((aligned(64)));
            const int8_t *weights = value_panel + panel * keys4 * APUS_PANEL;
            size_t columns = head_size - panel * APUS_PANEL;
            any_tile_u8s8(rows, columns, high, padded_keys, weights, keys4 / 4, (prefetch){0}, sums, 0);
            any_tile_u8s8(rows, columns, low, padded_keys, weights, keys4 / 4, (prefetch){0}, low_sums, 0);
            for (size_t c = panel * APUS_PANEL; c < (panel + 1) * APUS_PANEL && c < head_size; c += LANES)
                for (size_t r = 0; r < rows; r++) {
                    lanes16 y = lanes_fma(__builtin_convertvector(lanes_load_bits(&sums[r][c % APUS_PANEL]), lanes16),
                                          (lanes16)256.0f,
                                          __builtin_convertvector(lanes_load_bits(&low_sums[r][c % APUS_PANEL]), lanes16));
                    y = y * lanes_load(value_scales + c) * share[r];
                    float *place = out + (i + r) * out_stride + c;
                    if (c + LANES <= head_size) lanes_store(place, y);
                    else lanes_store_part(place, y, head_size - c);
                }
        }
    }
}
