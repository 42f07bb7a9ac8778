// Sixteen f32 lanes: one zmm, two ymm or four xmm register(s). Include only inside a target region (see isa_avx2.h).
//
// Everything that could differ between instruction sets is spelled out: multiply-add is always fused and never
// contracted by the compiler, sums over lanes follow one tree, exp and its like are our own polynomials.
#ifndef APUS_LANES16_H
#define APUS_LANES16_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../include/apus_kernels.h"

#pragma clang fp contract(off)
#pragma clang diagnostic ignored "-Wpsabi" // about passing vectors: every function below is inlined

#define APUS_INLINE static inline __attribute__((always_inline, unused))

typedef float lanes16 __attribute__((ext_vector_type(16)));
typedef int32_t lanes16_bits __attribute__((ext_vector_type(16)));
typedef uint8_t lanes16_u8 __attribute__((ext_vector_type(16)));

enum { LANES = 16 };

APUS_INLINE lanes16 lanes_load(const float *p) {
    lanes16 v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

APUS_INLINE void lanes_store(float *p, lanes16 v) { __builtin_memcpy(p, &v, sizeof v); }

APUS_INLINE lanes16_bits lanes_load_bits(const int32_t *p) {
    lanes16_bits v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

/// The first `count` < 16 values, `fill` behind them.
APUS_INLINE lanes16 lanes_load_part(const float *p, size_t count, float fill) {
    float part[LANES];
    for (size_t i = 0; i < LANES; i++) part[i] = fill;
    memcpy(part, p, count * sizeof *p);
    return lanes_load(part);
}

APUS_INLINE void lanes_store_part(float *p, lanes16 v, size_t count) { memcpy(p, &v, count * sizeof *p); }

/// The first `count` lanes of v, `fill` behind them.
APUS_INLINE lanes16 lanes_keep(lanes16 v, size_t count, float fill) {
    const lanes16_bits index = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return index < (lanes16_bits)(int32_t)count ? v : (lanes16)fill;
}

APUS_INLINE lanes16_bits lanes_to_bits(lanes16 v) {
    lanes16_bits bits;
    __builtin_memcpy(&bits, &v, sizeof bits);
    return bits;
}

APUS_INLINE lanes16 lanes_from_bits(lanes16_bits bits) {
    lanes16 v;
    __builtin_memcpy(&v, &bits, sizeof v);
    return v;
}

/// 1.5 · 2²³: what is added to it, |x| < 2²², is rounded to a whole number, ties to even, which then stands in the low bits.
#define LANES_ROUNDING ((lanes16)12582912.0f)
APUS_INLINE lanes16_bits lanes_whole(lanes16 shifted) { return lanes_to_bits(shifted) - lanes_to_bits(LANES_ROUNDING); }

/// The whole numbers nearest to x, |x| < 2²², ties to even.
APUS_INLINE lanes16_bits lanes_round(lanes16 x) { return lanes_whole(x + LANES_ROUNDING); }

APUS_INLINE lanes16 lanes_fma(lanes16 a, lanes16 b, lanes16 c) { return __builtin_elementwise_fma(a, b, c); }

/// The larger or smaller one; b where either is NaN.
APUS_INLINE lanes16 lanes_max(lanes16 a, lanes16 b) { return a > b ? a : b; }
APUS_INLINE lanes16 lanes_min(lanes16 a, lanes16 b) { return a < b ? a : b; }

/// The one tree: lane l with lane l + 8, then + 4, + 2, + 1.
APUS_INLINE float lanes_sum(lanes16 v) {
    __attribute__((ext_vector_type(8))) float eight = v.lo + v.hi;
    __attribute__((ext_vector_type(4))) float four = eight.lo + eight.hi;
    __attribute__((ext_vector_type(2))) float two = four.lo + four.hi;
    return two.x + two.y;
}

/// By the same tree; of two, the second where either is NaN.
APUS_INLINE float lanes_largest(lanes16 v) {
    __attribute__((ext_vector_type(8))) float eight = v.lo > v.hi ? v.lo : v.hi;
    __attribute__((ext_vector_type(4))) float four = eight.lo > eight.hi ? eight.lo : eight.hi;
    __attribute__((ext_vector_type(2))) float two = four.lo > four.hi ? four.lo : four.hi;
    return two.x > two.y ? two.x : two.y;
}

/// exp(x), relative error under 2e-7; 0 under −87, no larger than exp(88), NaN for NaN.
/// Cephes' expf: x = n·ln 2 + r, a polynomial in r, 2ⁿ.
APUS_INLINE lanes16 lanes_exp(lanes16 x) {
    lanes16 unbounded = x;
    x = lanes_min((lanes16)88.0f, lanes_max((lanes16)-87.0f, x)); // in this order, NaN stays
    lanes16 shifted = lanes_fma(x, (lanes16)1.44269504088896341f, LANES_ROUNDING);
    lanes16 n = shifted - LANES_ROUNDING;
    lanes16 r = lanes_fma(n, (lanes16)-0.693359375f, x); // ln 2 in two parts, the first exact in nine bits
    r = lanes_fma(n, (lanes16)2.12194440e-4f, r);
    lanes16 p = (lanes16)1.9875691500e-4f;
    p = lanes_fma(p, r, (lanes16)1.3981999507e-3f);
    p = lanes_fma(p, r, (lanes16)8.3334519073e-3f);
    p = lanes_fma(p, r, (lanes16)4.1665795894e-2f);
    p = lanes_fma(p, r, (lanes16)1.6666665459e-1f);
    p = lanes_fma(p, r, (lanes16)5.0000001201e-1f);
    p = lanes_fma(p, r * r, r + 1.0f);
    lanes16_bits exponent = (lanes_whole(shifted) + 127) << 23;
    return unbounded < -87.0f ? (lanes16)0.0f : p * lanes_from_bits(exponent);
}

APUS_INLINE lanes16 lanes_absolute(lanes16 x) {
    return lanes_from_bits(lanes_to_bits(x) & 0x7fffffff);
}

#endif
