// The int8 products' inner loop for any number of rows. A tile_u8s8_ISA.h has, before it includes this,
//     U8S8_ROWS                             the most rows of a tile
//     U8S8_PACK                             steps of k that stand side by side in a panel: [k/PACK][64][PACK]
//     U8S8_INNER                            what the steps of a product are a multiple of, itself a multiple of PACK
//     U8S8_FLIP                             0, or 0x80 where the panel's bytes are w + 128: their highest bit is flipped
//     U8S8_FEW_TILES, U8S8_PIECE_BYTES      up to so many row tiles share a piece of the panel (see gemm_u8s8.body.h)
//     tile_u8s8(rows, columns, a, a_stride, b, groups, ahead, sums, accumulate)
// which adds Σk a[r][k] · b[k][n] to sums[r][n] (or starts at 0) for a constant `rows` ≤ U8S8_ROWS, the panel's first 32 or
// all 64 columns and PACK · `groups` steps of k, and asks for what is `ahead` meanwhile. And it has the set's peak_u8s8.
// A set whose sums are no array of registers (AMX) has an any_tile_u8s8 of its own instead, and U8S8_THREAD_STATE with
// thread_begin and thread_end where its registers must be set up.

#define TILE_U8S8_CASE(ROWS)                                                                                          \
    case ROWS:                                                                                                        \
        if (ROWS <= U8S8_ROWS && columns <= APUS_PANEL / 2)                                                           \
            tile_u8s8(ROWS, APUS_PANEL / 2, a, a_stride, b, groups, ahead, sums, accumulate);                         \
        else if (ROWS <= U8S8_ROWS)                                                                                   \
            tile_u8s8(ROWS, APUS_PANEL, a, a_stride, b, groups, ahead, sums, accumulate);                             \
        return;

_Static_assert(U8S8_ROWS <= 6, "a tile's heights are the cases below");

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
