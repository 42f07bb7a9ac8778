// The int8 product around its inner loop; the including file has opened a target region, and defined KERNEL(name),
// U8S8_ROWS and
//     tile_u8s8(rows, a, a_stride, b, groups, prefetch, sums, accumulate)
// which adds Σk a[r][k] · b[k][n] to sums[r][n] (or starts at 0) for `rows` ≤ U8S8_ROWS rows, 64 columns and 4 · `groups`
// steps of k, and asks for the `prefetch` meanwhile.
#include "epilogue.h"
#include "prefetch.h"

#define TILE_U8S8_CASE(ROWS)                                                                                          \
    case ROWS:                                                                                                        \
        if (ROWS <= U8S8_ROWS) tile_u8s8(ROWS, a, a_stride, b, groups, ahead, sums, accumulate);                       \
        return;

static __attribute__((noinline)) void any_tile_u8s8(size_t rows, const uint8_t *a, size_t a_stride, const int8_t *b,
                                                    size_t groups, prefetch ahead, int32_t sums[][APUS_PANEL],
                                                    int accumulate) {
    switch (rows) {
        TILE_U8S8_CASE(1)
        TILE_U8S8_CASE(2)
        TILE_U8S8_CASE(3)
        TILE_U8S8_CASE(4)
        TILE_U8S8_CASE(5)
        TILE_U8S8_CASE(6)
    default: __builtin_unreachable();
    }
}

/// sums[r][…] of rows `first` ..< `first` + `rows` become C.
static void finish_u8s8(int32_t sums[][APUS_PANEL], const apus_rows_u8 *a, size_t first, size_t rows,
                        const apus_panel_s8 *b, size_t columns, const apus_epilogue *epilogue, float *c, size_t c_stride) {
    for (size_t column = 0; column < columns; column += LANES) {
        lanes16_bits weight_sums = lanes_load_bits(b->sums + column);
        lanes16 scales = lanes_load(b->scales + column), bias = lanes_load(epilogue->bias + column);
        for (size_t r = 0; r < rows; r++) {
            size_t row = first + r;
            lanes16_bits product = lanes_load_bits(&sums[r][column]) - (lanes16_bits)a->zero[row] * weight_sums;
            lanes16 y = lanes_fma(__builtin_convertvector(product, lanes16) * (lanes16)a->scale[row], scales, bias);
            finish(y, epilogue, row, column, columns - column, c, c_stride);
        }
    }
}

void KERNEL(gemm_u8s8)(const apus_rows_u8 *a, size_t rows, const apus_panel_s8 *b, size_t inner, size_t columns,
                       const apus_epilogue *epilogue, float *c, size_t c_stride) {
    enum { FEW = FEW_TILES * U8S8_ROWS, STEP = 4 * APUS_PANEL };
    int32_t sums[FEW][APUS_PANEL] __attribute__((aligned(64)));
    size_t groups = inner / 4;
    size_t tiles = (rows + U8S8_ROWS - 1) / U8S8_ROWS;
    // Few rows: all of them take a piece of the panel while it is in the first-level cache, and ask for what is two
    // pieces on. More: each tile takes the whole panel from the second level, and the next one comes in meanwhile.
    int few = tiles <= FEW_TILES;
    size_t piece = few ? PIECE_BYTES / STEP : groups;
    for (size_t first = 0, strip, tile = 0; first < rows; first += strip) {
        strip = few ? rows : tile_height(rows - first, U8S8_ROWS);
        prefetch_output(epilogue, first, strip, columns, c, c_stride);
        for (size_t group = 0; group < groups; group += piece) {
            size_t count = groups - group < piece ? groups - group : piece;
            const int8_t *weights = b->values + group * STEP;
            if (few) tile = 0;
            for (size_t row = 0, height; row < strip; row += height) {
                height = tile_height(strip - row, U8S8_ROWS);
                const int8_t *next = few ? weights + 2 * PIECE_BYTES : weights + groups * STEP;
                prefetch ahead = prefetch_share(next, count * STEP, tile++, tiles);
                any_tile_u8s8(height, a->values + (first + row) * a->stride + 4 * group, a->stride, weights, count,
                              ahead, sums + row, group > 0);
            }
        }
        finish_u8s8(sums, a, first, strip, b, columns, epilogue, c, c_stride);
    }
}
