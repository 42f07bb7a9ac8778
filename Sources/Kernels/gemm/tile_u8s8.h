// The int8 products' inner loop for any number of rows. The including tile_u8s8_ISA.h has defined U8S8_ROWS and
//     tile_u8s8(rows, columns, a, a_stride, b, groups, ahead, sums, accumulate)
// which adds Σk a[r][k] · b[k][n] to sums[r][n] (or starts at 0) for a constant `rows` ≤ U8S8_ROWS, the panel's first 32 or
// all 64 columns and 4 · `groups` steps of k, and asks for what is `ahead` meanwhile.

#define TILE_U8S8_CASE(ROWS)                                                                                          \
    case ROWS:                                                                                                        \
        if (ROWS <= U8S8_ROWS && columns <= APUS_PANEL / 2)                                                           \
            tile_u8s8(ROWS, APUS_PANEL / 2, a, a_stride, b, groups, ahead, sums, accumulate);                         \
        else if (ROWS <= U8S8_ROWS)                                                                                   \
            tile_u8s8(ROWS, APUS_PANEL, a, a_stride, b, groups, ahead, sums, accumulate);                             \
        return;

/// For 1 to 64 columns: those asked for, and maybe more.
static __attribute__((noinline)) void any_tile_u8s8(size_t rows, size_t columns, const uint8_t *a, size_t a_stride,
                                                    const int8_t *b, size_t groups, prefetch ahead,
                                                    int32_t sums[][APUS_PANEL], int accumulate) {
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
