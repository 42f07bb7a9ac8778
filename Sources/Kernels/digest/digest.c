// SHA-256 and SHA-1 as FIPS 180-4 has them: all that Apus needs of a library of cryptography, to tell files apart.
#include "apus_digest.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#endif

enum { BLOCK = 64 };

/// Takes `count` blocks into the state.
typedef void compress(uint32_t *state, const uint8_t *blocks, size_t count);

static uint32_t load(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void store(uint8_t *bytes, uint32_t word) {
    for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(word >> (24 - 8 * i));
}

static uint32_t left(uint32_t x, int n) { return x << n | x >> (32 - n); }
static uint32_t right(uint32_t x, int n) { return x >> n | x << (32 - n); }

/// 5.1.1 and 6: the message is padded with a one, zeros and its length in bits, and compressed block by block.
static void digest(
    compress *compress, uint32_t *state, int words, const uint8_t *prefix, size_t prefix_count, const uint8_t *bytes,
    size_t count, uint8_t *result
) {
    uint64_t bits = ((uint64_t)prefix_count + count) * 8;
    uint8_t block[2 * BLOCK] = {0};
    size_t held = prefix_count;
    if (held) {
        memcpy(block, prefix, held);
        size_t more = count < BLOCK - held ? count : BLOCK - held;
        if (more) {
            memcpy(block + held, bytes, more);
            bytes += more, count -= more, held += more;
        }
        if (held == BLOCK) {
            compress(state, block, 1);
            memset(block, 0, sizeof block);
            held = 0;
        }
    }
    if (!held && count) {
        compress(state, bytes, count / BLOCK);
        held = count % BLOCK;
        memcpy(block, bytes + count - held, held);
    }
    block[held] = 0x80;
    size_t blocks = held + 9 > BLOCK ? 2 : 1;
    store(block + blocks * BLOCK - 8, (uint32_t)(bits >> 32));
    store(block + blocks * BLOCK - 4, (uint32_t)bits);
    compress(state, block, blocks);
    for (int i = 0; i < words; i++) store(result + 4 * i, state[i]);
}

// MARK: SHA-256

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static void compress_sha256_scalar(uint32_t *state, const uint8_t *blocks, size_t count) {
    for (; count; count--, blocks += BLOCK) {
        uint32_t w[64], s[8];
        memcpy(s, state, sizeof s);
        for (int t = 0; t < 16; t++) w[t] = load(blocks + 4 * t);
        for (int t = 16; t < 64; t++) {
            uint32_t a = w[t - 2], b = w[t - 15];
            w[t] = (right(a, 17) ^ right(a, 19) ^ a >> 10) + w[t - 7] + (right(b, 7) ^ right(b, 18) ^ b >> 3) + w[t - 16];
        }
#pragma clang loop unroll_count(8)
        for (unsigned t = 0; t < 64; t++) {
            // a to h are s[0] to s[7] at first; instead of moving all, the first of them moves.
            uint32_t a = s[-t & 7], b = s[(1 - t) & 7], c = s[(2 - t) & 7], e = s[(4 - t) & 7], f = s[(5 - t) & 7];
            uint32_t g = s[(6 - t) & 7], *d = &s[(3 - t) & 7], *h = &s[(7 - t) & 7];
            *h += (right(e, 6) ^ right(e, 11) ^ right(e, 25)) + ((e & f) ^ (~e & g)) + K[t] + w[t];
            *d += *h;
            *h += (right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        }
        for (int i = 0; i < 8; i++) state[i] += s[i];
    }
}

#if defined(__x86_64__)
/// Intel, "SHA Extensions" (2013): the state lies in two registers as ABEF and CDGH, and an instruction does two rounds.
__attribute__((target("sha,sse4.1"))) static void compress_sha256_cpu(uint32_t *state, const uint8_t *blocks, size_t count) {
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i dcba = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
    __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);
    __m128i abef = _mm_alignr_epi8(dcba, hgfe, 8), cdgh = _mm_blend_epi16(hgfe, dcba, 0xf0);
    for (; count; count--, blocks += BLOCK) {
        __m128i abef_before = abef, cdgh_before = cdgh, w[4];
        for (int i = 0; i < 4; i++) {
            w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(blocks + 16 * i)), big_endian);
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) {
            __m128i *now = &w[i & 3], previous = w[(i + 3) & 3];
            __m128i words = _mm_add_epi32(*now, _mm_loadu_si128((const __m128i *)(K + 4 * i)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, words);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(words, 0x0e));
            __m128i sum = _mm_sha256msg1_epu32(*now, w[(i + 1) & 3]);
            sum = _mm_add_epi32(sum, _mm_alignr_epi8(previous, w[(i + 2) & 3], 4));
            *now = _mm_sha256msg2_epu32(sum, previous); // four words for four steps later
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/// The AVX and XMM registers are saved by every system that runs here: SSE is x86-64's own.
static int has_sha256(void) {
    uint32_t a, b, c, d, unused;
    return __get_cpuid(1, &a, &unused, &c, &d) && c >> 19 & 1 && c >> 9 & 1 && __get_cpuid_count(7, 0, &a, &b, &unused, &d)
        && b >> 29 & 1;
}
#elif defined(__aarch64__)
__attribute__((target("sha2"))) static void compress_sha256_cpu(uint32_t *state, const uint8_t *blocks, size_t count) {
    uint32x4_t abcd = vld1q_u32(state), efgh = vld1q_u32(state + 4);
    for (; count; count--, blocks += BLOCK) {
        uint32x4_t abcd_before = abcd, efgh_before = efgh, w[4];
        for (int i = 0; i < 4; i++) w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(blocks + 16 * i)));
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) {
            uint32x4_t *now = &w[i & 3], words = vaddq_u32(*now, vld1q_u32(K + 4 * i)), abcd_now = abcd;
            abcd = vsha256hq_u32(abcd, efgh, words);
            efgh = vsha256h2q_u32(efgh, abcd_now, words);
            *now = vsha256su1q_u32(vsha256su0q_u32(*now, w[(i + 1) & 3]), w[(i + 2) & 3], w[(i + 3) & 3]);
        }
        abcd = vaddq_u32(abcd, abcd_before);
        efgh = vaddq_u32(efgh, efgh_before);
    }
    vst1q_u32(state, abcd);
    vst1q_u32(state + 4, efgh);
}

static int has_sha256(void) {
#if defined(__linux__)
    return getauxval(AT_HWCAP) >> 6 & 1; // HWCAP_SHA2
#else
    return 1; // every ARM CPU of Apple
#endif
}
#else
#define compress_sha256_cpu compress_sha256_scalar
static int has_sha256(void) { return 0; }
#endif

static void sha256(compress *compress, const void *bytes, size_t count, uint8_t result[32]) {
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    digest(compress, state, 8, NULL, 0, bytes, count, result);
}

void apus_sha256(const void *bytes, size_t count, uint8_t result[32]) {
    // Asked once: CPUID leaves a virtual machine, which takes longer than a short text's digest.
    static _Atomic(compress *) chosen;
    compress *compress = chosen;
    if (!compress) chosen = compress = has_sha256() ? compress_sha256_cpu : compress_sha256_scalar;
    sha256(compress, bytes, count, result);
}

void apus_sha256_scalar(const void *bytes, size_t count, uint8_t result[32]) {
    sha256(compress_sha256_scalar, bytes, count, result);
}

// MARK: SHA-1

static void compress_sha1(uint32_t *state, const uint8_t *blocks, size_t count) {
    for (; count; count--, blocks += BLOCK) {
        uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
        for (int t = 0; t < 16; t++) w[t] = load(blocks + 4 * t);
        for (int t = 16; t < 80; t++) w[t] = left(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
        for (int t = 0; t < 80; t++) {
            uint32_t f = t < 20 ? ((b & c) ^ (~b & d)) + 0x5a827999
                : t < 40        ? (b ^ c ^ d) + 0x6ed9eba1
                : t < 60        ? ((b & c) ^ (b & d) ^ (c & d)) + 0x8f1bbcdc
                                : (b ^ c ^ d) + 0xca62c1d6;
            uint32_t next = left(a, 5) + f + e + w[t];
            e = d, d = c, c = left(b, 30), b = a, a = next;
        }
        state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
    }
}

void apus_sha1(const void *prefix, size_t prefix_count, const void *bytes, size_t count, uint8_t result[20]) {
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    digest(compress_sha1, state, 5, prefix, prefix_count, bytes, count, result);
}
