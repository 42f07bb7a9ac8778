// The int8 product around its inner loop. Included by isa/int8.body.h, behind a tile_u8s8_ISA.h.
#include "epilogue.h"

/// A row's products with 16 columns, with their scales and bias.
APUS_INLINE lanes16 dequantize(const int32_t *sums, lanes16 row_scale, lanes16_bits row_zero, lanes16_bits weight_sums,
                               lanes16 scales, lanes16 bias) {
    lanes16_bits product = lanes_load_bits(sums) - row_zero * weight_sums;
    return lanes_fma(__builtin_convertvector(product, lanes16) * row_scale, scales, bias);
}

/// sums[r][…] of rows `first` ..< `first` + `rows` become C; `gelu` and `add` (the residual) must be constants.
APUS_INLINE void finish_whole_panel(int32_t sums[][APUS_PANEL], const apus_rows_u8 *a, size_t first, size_t rows,
                                    const apus_panel_s8 *b, const apus_epilogue *epilogue, const int gelu, const int add,
                                    float *c, size_t c_stride) {
    enum { VECTORS = APUS_PANEL / LANES };
    lanes16_bits weight_sums[VECTORS];
    lanes16 scales[VECTORS], biases[VECTORS];
#pragma clang loop unroll(full)
    for (int v = 0; v < VECTORS; v++) {
        weight_sums[v] = lanes_load_bits(b->sums + v * LANES);
        scales[v] = lanes_load(b->scales + v * LANES);
        biases[v] = lanes_load(epilogue->bias + v * LANES);
    }
    const float *row_scales = a->scale + first;
    const int32_t *row_zeros = a->zero + first;
    const uint8_t *relative = epilogue->reference && a->relative ? a->relative + first : NULL;
    const float *residual = add ? epilogue->residual + first * epilogue->residual_stride : NULL;
    c += first * c_stride;
    for (size_t r = 0; r < rows; r++) {
        lanes16 scale = (lanes16)row_scales[r];
        lanes16_bits zero = (lanes16_bits)row_zeros[r];
        const float *reference = relative && relative[r] ? epilogue->reference : NULL;
#pragma clang loop unroll(full)
        for (int v = 0; v < VECTORS; v++) {
            lanes16 bias = reference ? lanes_load(reference + v * LANES) : biases[v];
            lanes16 y = dequantize(&sums[r][v * LANES], scale, zero, weight_sums[v], scales[v], bias);
            if (gelu) y = lanes_gelu(y);
            if (add) y += lanes_load(residual + r * epilogue->residual_stride + v * LANES);
            lanes_store(c + r * c_stride + v * LANES, y);
        }
    }
}

static void finish_u8s8(int32_t sums[][APUS_PANEL], const apus_rows_u8 *a, size_t first, size_t rows,
                        const apus_panel_s8 *b, size_t columns, const apus_epilogue *epilogue, float *c, size_t c_stride) {
    if (columns == APUS_PANEL && !epilogue->residual && epilogue->gelu)
        return finish_whole_panel(sums, a, first, rows, b, epilogue, 1, 0, c, c_stride);
    if (columns == APUS_PANEL && !epilogue->residual)
        return finish_whole_panel(sums, a, first, rows, b, epilogue, 0, 0, c, c_stride);
    if (columns == APUS_PANEL && !epilogue->gelu)
        return finish_whole_panel(sums, a, first, rows, b, epilogue, 0, 1, c, c_stride);
    for (size_t column = 0; column < columns; column += LANES)
        for (size_t r = 0; r < rows; r++) {
            size_t row = first + r;
            int is_relative = epilogue->reference && a->relative && a->relative[row];
            const float *bias = is_relative ? epilogue->reference : epilogue->bias;
            lanes16 y = dequantize(&sums[r][column], (lanes16)a->scale[row], (lanes16_bits)a->zero[row],
                                   lanes_load_bits(b->sums + column), lanes_load(b->scales + column),
                                   lanes_load(bias + column));
            finish(y, epilogue, row, column, columns - column, c, c_stride);
        }
}

void KERNEL(gemm_u8s8)(const apus_rows_u8 *a, size_t rows, const apus_panel_s8 *b, size_t inner, size_t columns,
                       const apus_epilogue *epilogue, float *c, size_t c_stride) {
    enum { STRIP = (U8S8_FEW_TILES ? U8S8_FEW_TILES : 1) * U8S8_ROWS, STEP = U8S8_PACK * APUS_PANEL };
    int32_t sums[STRIP][APUS_PANEL] __attribute__((aligned(64)));
    size_t groups = inner / U8S8_PACK;
    size_t tiles = (rows + U8S8_ROWS - 1) / U8S8_ROWS;
    // Few rows: all of them take a piece of the panel while it is in the first-level cache, and ask for what is two
    // pieces on. More: each tile takes the whole panel from the second level, and the next one comes in meanwhile.
    int few = tiles <= U8S8_FEW_TILES;
    size_t piece = few ? U8S8_PIECE_BYTES / STEP : groups;
    for (size_t first = 0, strip, tile = 0; first < rows; first += strip) {
        strip = few ? rows : tile_height(rows - first, U8S8_ROWS);
        prefetch_output(epilogue, first, strip, columns, c, c_stride);
        for (size_t group = 0; group < groups; group += piece) {
            size_t count = groups - group < piece ? groups - group : piece;
            const int8_t *weights = b->values + group * STEP;
            if (few) tile = 0;
            for (size_t row = 0, height; row < strip; row += height) {
                height = tile_height(strip - row, U8S8_ROWS);
                const int8_t *next = few ? weights + 2 * U8S8_PIECE_BYTES : weights + groups * STEP;
                prefetch ahead = prefetch_share(next, count * STEP, tile++, tiles);
                const uint8_t *values = a->values + (first + row) * a->stride + U8S8_PACK * group;
                any_tile_u8s8(height, columns, values, a->stride, weights, count, ahead, sums + row, group > 0);
            }
        }
        finish_u8s8(sums, a, first, strip, b, columns, epilogue, c, c_stride);
    }
}
