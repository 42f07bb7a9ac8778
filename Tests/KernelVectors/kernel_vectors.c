// Every kernel of every instruction set that this machine has, over the same seeded inputs: shapes, strides, tails,
// extremes, what is not finite. Prints a line a set and kernel, with a digest of all that the kernel wrote and of what
// stands beside it; a set that the machine lacks is said to be skipped. The digests must be those of digests.txt, whatever
// the machine: test_kernel_vectors.py sees to it. Times nothing.
//
//     kernel_vectors [NAME…]     these sets alone
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apus_kernels.h"

// Numbers

static uint64_t state;

static void seed(uint64_t value) { state = value * 0x9E3779B97F4A7C15u; }

/// SplitMix64.
static uint64_t next(void) {
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static int32_t whole(int32_t lowest, int32_t highest) {
    return lowest + (int32_t)(next() % (uint64_t)(highest - lowest + 1));
}

/// In (−most, most), of 24 bits: exact in f32 before the last multiplication.
static float real(float most) { return ((float)(int32_t)(next() >> 40) * 0x1p-23f - 1.0f) * most; }

static void fill(float *x, size_t count, float most) {
    for (size_t i = 0; i < count; i++) x[i] = real(most);
}

static const float specials[] = {0.0f,   -0.0f,   1e-45f, -1e-40f, 1e-30f, 3e38f, -3e38f, 88.0f,
                                 -88.0f, 1e-5f,   4.0f,   -4.0f,   5.7f,   -5.7f, 0.5f,   -12.0f};

/// NaN and the infinities too; and many of the special numbers.
static void spoil(float *x, size_t count, int is_finite) {
    for (size_t i = 0; i < count; i++)
        if (next() % 3 == 0) x[i] = specials[next() % (sizeof specials / sizeof *specials)];
    if (is_finite || count == 0) return;
    const float broken[] = {NAN, INFINITY, -INFINITY};
    x[next() % count] = broken[next() % 3];
}

// Digests

static uint64_t digest;

/// FNV-1a, 64 bits.
static void add(const void *bytes, size_t count) {
    for (const uint8_t *p = bytes; count > 0; p++, count--) digest = (digest ^ *p) * 0x100000001B3u;
}

/// A NaN's sign and payload are the CPU's own: all NaNs are one here.
static void add_reals(const float *x, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        if (x[i] != x[i]) bits = 0x7FC00000;
        add(&bits, sizeof bits);
    }
}

static void *allocate(size_t bytes) {
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory) exit(70);
    return memory;
}

static float *reals(size_t count, float value) {
    float *x = allocate(count * sizeof *x);
    for (size_t i = 0; i < count; i++) x[i] = value;
    return x;
}

enum { MARGIN = 40 }; // beside what a kernel may write: it is digested, too
static const float UNTOUCHED = -1234.5f;

// Kernels

static const apus_kernels *kernels;

typedef struct {
    size_t rows, columns, inner;
    int gelu, has_residual;
    int extreme; // 0: random; else bytes 255 or 0 beside weights −128 or 127
    int is_relative; // every third row is
} product;

static void product_u8s8(product p) {
    seed(p.rows * 1000003 + p.columns * 1009 + p.inner * 10 + (size_t)p.extreme);
    size_t padded = (p.inner + 63) / 64 * 64, a_stride = padded + 5, c_stride = p.columns + 3;
    uint8_t *a = allocate(p.rows * a_stride);
    for (size_t i = 0; i < p.rows * a_stride; i++) a[i] = (uint8_t)whole(0, 255);
    int8_t *w = allocate(p.columns * p.inner);
    for (size_t i = 0; i < p.columns * p.inner; i++) w[i] = (int8_t)whole(-128, 127);
    float *row_scales = reals(p.rows, 0), scales[APUS_PANEL] = {0}, bias[APUS_PANEL] = {0};
    int32_t *zeros = allocate(p.rows * sizeof *zeros), sums[APUS_PANEL];
    fill(row_scales, p.rows, 0.1f);
    fill(scales, p.columns, 0.01f);
    fill(bias, p.columns, 2);
    for (size_t r = 0; r < p.rows; r++) zeros[r] = whole(0, 255);
    if (p.extreme) {
        memset(a, p.extreme & 1 ? 255 : 0, p.rows * a_stride);
        for (size_t r = 0; r < p.rows; r++) zeros[r] = p.extreme & 1 ? 0 : 255;
        for (size_t i = 0; i < p.columns * p.inner; i++)
            w[i] = (int8_t)(p.extreme & 4 && i % 2 ? 127 : p.extreme & 2 ? -128 : 127);
    }
    size_t inner = (p.inner + kernels->inner_step - 1) / kernels->inner_step * kernels->inner_step;
    int8_t *panel = allocate(inner * APUS_PANEL);
    kernels->pack_s8(w, p.inner, p.columns, p.inner, panel, sums);
    float *c = reals(p.rows * c_stride + MARGIN, UNTOUCHED), *residual = reals(p.rows * c_stride, 0);
    fill(residual, p.rows * c_stride, 3);
    uint8_t *relative = allocate(p.rows);
    for (size_t r = 0; r < p.rows; r++) relative[r] = r % 3 == 0;
    float reference[APUS_PANEL] = {0};
    if (p.is_relative) fill(reference, p.columns, 9);
    apus_rows_u8 rows = {a, a_stride, row_scales, zeros, p.is_relative ? relative : NULL};
    apus_panel_s8 b = {panel, sums, scales};
    apus_epilogue epilogue = {bias, p.has_residual ? residual : NULL, c_stride, p.gelu, p.is_relative ? reference : NULL};
    kernels->gemm_u8s8(&rows, p.rows, &b, inner, p.columns, &epilogue, c, c_stride);
    add_reals(c, p.rows * c_stride + MARGIN);
    add(sums, sizeof sums);
    free(a), free(w), free(row_scales), free(zeros), free(panel), free(c), free(residual), free(relative);
}

static void product_f32(product p) {
    seed(p.rows * 1000003 + p.columns * 1009 + p.inner * 10 + (size_t)p.extreme + 1);
    size_t a_stride = p.inner + 5, c_stride = p.columns + 3;
    float *a = reals(p.rows * a_stride, 0), *w = reals(p.columns * p.inner, 0), bias[APUS_PANEL] = {0};
    fill(a, p.rows * a_stride, 2);
    fill(w, p.columns * p.inner, 1);
    fill(bias, p.columns, 2);
    if (p.extreme) spoil(a, p.rows * a_stride, p.extreme & 1), spoil(w, p.columns * p.inner, 1);
    float *panel = allocate(p.inner * APUS_PANEL * sizeof *panel);
    apus_pack_f32(w, p.inner, p.columns, p.inner, panel);
    float *c = reals(p.rows * c_stride + MARGIN, UNTOUCHED), *residual = reals(p.rows * c_stride, 0);
    fill(residual, p.rows * c_stride, 3);
    apus_epilogue epilogue = {bias, p.has_residual ? residual : NULL, c_stride, p.gelu, NULL};
    kernels->gemm_f32(a, a_stride, p.rows, panel, p.inner, p.columns, &epilogue, c, c_stride);
    add_reals(c, p.rows * c_stride + MARGIN);
    free(a), free(w), free(panel), free(c), free(residual);
}

/// The shapes at which tiles, strips, panels and pieces begin and end.
static void products(void (*run)(product)) {
    for (size_t rows = 0; rows <= 37; rows++) run((product){.rows = rows, .columns = 64, .inner = 132});
    const size_t many[] = {47, 48, 49, 64, 65, 97};
    for (size_t i = 0; i < sizeof many / sizeof *many; i++) run((product){many[i], 64, 68, .gelu = 1});
    for (size_t columns = 1; columns <= 64; columns++) {
        run((product){7, columns, 20, .has_residual = columns % 2});
        if (columns % 5 == 0) run((product){33, columns, 64, .has_residual = columns % 2});
    }
    const size_t steps[] = {1,  2,  3,  4,   5,   7,   8,   9,   12,  15,  16,  31,  32,  33,  60,
                            63, 64, 65, 124, 127, 128, 129, 132, 192, 256, 257, 384, 516, 768, 1028};
    const size_t heights[] = {1, 2, 5, 8, 16, 19, 40};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        for (size_t j = 0; j < sizeof heights / sizeof *heights; j++)
            run((product){.rows = heights[j], .columns = 33, .inner = steps[i]});
    for (size_t i = 0; i < 4; i++) // of columns 3, 16, 47 and 64
        for (int gelu = 0; gelu < 2; gelu++)
            for (int has_residual = 0; has_residual < 2; has_residual++)
                run((product){5, (size_t[]){3, 16, 47, 64}[i], 64, gelu, has_residual, 0, 0});
    for (int extreme = 1; extreme < 8; extreme++) run((product){7, 64, 260, .extreme = extreme});
    run((product){.rows = 6, .columns = 64, .inner = 3072});
}

static void gemm_u8s8(void) {
    products(product_u8s8);
    for (int extreme = 1; extreme < 8; extreme++) // 255 · 128 · 65,792 < 2³¹
        product_u8s8((product){2, 2, 65792, .extreme = extreme});
}

static void gemm_f32(void) { products(product_f32); }

static void relative_gemm_u8s8(void) {
    for (size_t columns = 1; columns <= 64; columns += 7)
        for (size_t rows = 0; rows <= 37; rows++)
            product_u8s8((product){rows, columns, 132, rows % 2, rows % 2 == 0, 0, 1});
}

static const size_t counts[] = {0,  1,  2,  3,  5,  7,  8,  11, 15, 16,  17,  19,  23,  24,  31,
                                32, 33, 34, 35, 47, 48, 49, 64, 100, 384, 768, 1001, 1030};
enum { COUNTS = sizeof counts / sizeof *counts };

static void rows_u8(size_t rows, size_t columns, int is_finite, int is_norm) {
    seed(rows * 10007 + columns * 10 + (size_t)(is_finite * 2 + is_norm));
    size_t stride = is_norm ? columns : columns + 3, out_stride = columns + 5;
    float *x = reals(rows * stride, 0), *y = reals(rows * columns + MARGIN, UNTOUCHED);
    fill(x, rows * stride, 3);
    if (columns % 3 == 0) spoil(x, rows * stride, is_finite);
    uint8_t *values = allocate(rows * out_stride + MARGIN);
    memset(values, 0x5A, rows * out_stride + MARGIN);
    float *scales = reals(rows + MARGIN, UNTOUCHED);
    int32_t *zeros = allocate((rows + MARGIN) * sizeof *zeros);
    memset(zeros, 0x5A, (rows + MARGIN) * sizeof *zeros);
    apus_rows_u8 out = {values, out_stride, scales, zeros, NULL};
    if (is_norm) {
        float *gamma = reals(columns, 0), *beta = reals(columns, 0);
        fill(gamma, columns, 2);
        fill(beta, columns, 1);
        kernels->layernorm_f32(x, gamma, beta, 1e-5f, rows, columns, y, columns % 2 ? &out : NULL);
        add_reals(y, rows * columns + MARGIN);
        free(gamma), free(beta);
    } else {
        kernels->quantize_u8(x, stride, rows, columns, &out);
    }
    add(values, rows * out_stride + MARGIN);
    add_reals(scales, rows + MARGIN);
    add(zeros, (rows + MARGIN) * sizeof *zeros);
    free(x), free(y), free(values), free(scales), free(zeros);
}

static void all_rows_u8(int is_norm) {
    for (size_t i = 1; i < COUNTS; i++)
        for (size_t rows = 0; rows < 15; rows += 1 + rows / 4)
            for (int is_finite = 0; is_finite < 2; is_finite++) rows_u8(rows, counts[i], is_finite, is_norm);
}

static void quantize_u8(void) { all_rows_u8(0); }

/// A row and what is near it, in part, or far from it.
static void relative_row(size_t columns, float distance, int is_finite) {
    seed(columns * 10 + (size_t)is_finite);
    float *x = reals(columns, 0), *reference = reals(columns, 0), scale;
    fill(x, columns, 3);
    fill(reference, columns, distance);
    for (size_t c = 0; c < columns; c++) reference[c] += x[c];
    if (!is_finite) spoil(columns % 2 ? x : reference, columns, 0);
    uint8_t *values = allocate(columns + MARGIN), relative = 0x5A;
    memset(values, 0x5A, columns + MARGIN);
    int32_t zero;
    apus_rows_u8 out = {values, columns, &scale, &zero, &relative};
    kernels->quantize_u8(x, columns, 1, columns, &out);
    add(&relative, 1);
    kernels->quantize_relative_u8(x, reference, columns, &out);
    add(&relative, 1);
    add(values, columns + MARGIN);
    add_reals(&scale, 1);
    add(&zero, sizeof zero);
    free(x), free(reference), free(values);
}

static void quantize_relative_u8(void) {
    const float distances[] = {0, 1e-30f, 0.02f, 2.5f, 3, 30, 3e38f};
    for (size_t i = 1; i < COUNTS; i++)
        for (size_t j = 0; j < sizeof distances / sizeof *distances; j++)
            for (int is_finite = 0; is_finite < 2; is_finite++) relative_row(counts[i], distances[j], is_finite);
}

static void layernorm_f32(void) { all_rows_u8(1); }

static void vectors(void (*kernel)(float *, size_t), size_t first) {
    for (size_t i = first; i < COUNTS; i++)
        for (int kind = 0; kind < 4; kind++) { // small, large, special, broken numbers
            seed(counts[i] * 10 + (size_t)kind);
            float *x = reals(counts[i] + MARGIN, UNTOUCHED);
            fill(x, counts[i], kind == 1 ? 100 : 5);
            if (kind >= 2) spoil(x, counts[i], kind == 2);
            kernel(x, counts[i]);
            add_reals(x, counts[i] + MARGIN);
            free(x);
        }
}

static void gelu_f32(void) { vectors(kernels->gelu_f32, 0); }
static void gelu_tanh_f32(void) { vectors(kernels->gelu_tanh_f32, 0); }
static void silu_f32(void) { vectors(kernels->silu_f32, 0); }
static void relu_f32(void) { vectors(kernels->relu_f32, 0); }
static void tanh_f32(void) { vectors(kernels->tanh_f32, 0); }
static void softmax_f32(void) { vectors(kernels->softmax_f32, 1); }

typedef __typeof__(kernels->attention_f32) attention;
typedef __typeof__(kernels->attention_f32_scratch) attention_scratch;

typedef enum { UNBIASED, BY_PAIR, BY_DISTANCE } bias_form;

static void head(attention kernel, attention_scratch scratch_of, size_t queries, size_t keys, size_t head_size, int broken,
                 bias_form bias) {
    seed(queries * 1000003 + keys * 1009 + head_size * 10 + (size_t)broken);
    size_t stride = head_size + 3;
    float *q = reals(queries * stride, 0), *k = reals(keys * stride, 0), *v = reals(keys * stride, 0);
    fill(q, queries * stride, 2), fill(k, keys * stride, 2), fill(v, keys * stride, 1);
    if (broken == 1 && queries) q[next() % queries * stride] = NAN;
    if (broken == 2) k[next() % keys * stride + head_size - 1] = INFINITY;
    if (broken == 3) v[next() % keys * stride] = -INFINITY;
    if (broken == 4) memset(k, 0, keys * stride * sizeof *k);
    size_t scratch_size = scratch_of(keys, head_size);
    apus_score_bias by_pair = {NULL, (ptrdiff_t)keys}, by_distance = {NULL, -1};
    float *bias_values = NULL;
    if (bias != UNBIASED) {
        size_t count = bias == BY_PAIR ? queries * keys : queries + keys;
        bias_values = reals(count, 0);
        fill(bias_values, count, 3);
        for (size_t i = 0; i < count; i++)
            if (i % keys && next() % 4 == 0) bias_values[i] = -INFINITY; // never of a query's first key alone
        by_pair.values = bias_values;
        by_distance.values = bias_values + queries;
    }
    float *scratch = reals(scratch_size + MARGIN, UNTOUCHED), *out = reals(queries * stride + MARGIN, UNTOUCHED);
    memset(scratch, 0xFF, scratch_size * sizeof *scratch); // what stands there must not matter
    kernel(q, stride, queries, k, v, stride, keys, head_size, 1.0f / sqrtf((float)head_size),
           bias == UNBIASED ? NULL : bias == BY_PAIR ? &by_pair : &by_distance, scratch, out, stride);
    add_reals(out, queries * stride + MARGIN);
    add_reals(scratch + scratch_size, MARGIN);
    free(q), free(k), free(v), free(scratch), free(out), free(bias_values);
}

static void heads(attention kernel, attention_scratch scratch_of, bias_form bias) {
    const size_t keys[] = {1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 63, 64, 65, 100, 128, 129, 200};
    const size_t sizes[] = {1, 3, 4, 16, 20, 32, 33, 64, 65, 80};
    const size_t queries[] = {0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 16, 17, 31, 32, 33, 40};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++)
            head(kernel, scratch_of, queries[(i * 7 + j * 3) % 16], keys[i], sizes[j], 0, bias);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) head(kernel, scratch_of, queries[i], 70, 64, 0, bias);
    for (int broken = 1; broken <= 4; broken++) {
        head(kernel, scratch_of, 9, 70, 64, broken, bias);
        head(kernel, scratch_of, 33, 33, 20, broken, bias);
    }
}

static void attention_f32(void) { heads(kernels->attention_f32, kernels->attention_f32_scratch, UNBIASED); }
static void attention_u8s8(void) { heads(kernels->attention_u8s8, kernels->attention_u8s8_scratch, UNBIASED); }

static void biased_attention_f32(void) {
    heads(kernels->attention_f32, kernels->attention_f32_scratch, BY_PAIR);
    heads(kernels->attention_f32, kernels->attention_f32_scratch, BY_DISTANCE);
}

static void biased_attention_u8s8(void) {
    heads(kernels->attention_u8s8, kernels->attention_u8s8_scratch, BY_PAIR);
    heads(kernels->attention_u8s8, kernels->attention_u8s8_scratch, BY_DISTANCE);
}

static const struct {
    const char *name;
    void (*run)(void);
} suites[] = {
    {"gemm_u8s8", gemm_u8s8},
    {"relative_gemm_u8s8", relative_gemm_u8s8},
    {"gemm_f32", gemm_f32},
    {"quantize_u8", quantize_u8},
    {"quantize_relative_u8", quantize_relative_u8},
    {"layernorm_f32", layernorm_f32},
    {"gelu_f32", gelu_f32},
    {"gelu_tanh_f32", gelu_tanh_f32},
    {"silu_f32", silu_f32},
    {"relu_f32", relu_f32},
    {"tanh_f32", tanh_f32},
    {"softmax_f32", softmax_f32},
    {"attention_f32", attention_f32},
    {"biased_attention_f32", biased_attention_f32},
    {"attention_u8s8", attention_u8s8},
    {"biased_attention_u8s8", biased_attention_u8s8},
};

static int is_wanted(const char *name, int count, char **names) {
    for (int i = 1; i < count; i++)
        if (strcmp(names[i], name) == 0) return 1;
    return count <= 1;
}

int main(int count, char **names) {
    if (apus_cpu_note()) fprintf(stderr, "%s\n", apus_cpu_note());
    for (size_t index = 0; index < apus_isa_count(); index++) {
        const char *name = apus_isa_name(index);
        if (!is_wanted(name, count, names)) continue;
        kernels = apus_isa_kernels(index);
        if (!kernels || !apus_isa_runs(index, apus_cpu_features())) {
            printf("%s skipped: this machine does not have it\n", name);
            continue;
        }
        if (kernels->thread_begin) kernels->thread_begin();
        for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
            digest = 0xCBF29CE484222325u;
            suites[i].run();
            printf("%s %s %016llx\n", name, suites[i].name, (unsigned long long)digest);
            fflush(stdout);
        }
        if (kernels->thread_end) kernels->thread_end();
    }
    printf("chosen %s\n", apus_isa_name(apus_isa_choice(apus_cpu_features())));
    return 0;
}
