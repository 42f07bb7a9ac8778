// AMX: tiles of 16 rows of 64 bytes. See tile_u8s8.h. Included by isa/avx512amx.c.
#include "prefetch.h"

enum { AMX_ROWS = 16, U8S8_ROWS = 2 * AMX_ROWS };
/// Whole tiles of steps: the panel's 64 columns of 64 steps are one page of memory. The sums stay in their tiles over all
/// steps, so a panel is not taken in pieces.
enum { U8S8_PACK = 4, U8S8_INNER = 64, U8S8_FLIP = 0, U8S8_FEW_TILES = 0, U8S8_PIECE_BYTES = 0 };

/// The rows that this thread's tiles are set up for: `upper` of tiles 0, 1 and 4, `lower` of 2, 3 and 5. Tiles 0 to 3 are
/// sums, 4 and 5 activations, 6 and 7 weights. Nothing is set up where both are 0.
static _Thread_local struct {
    uint8_t upper, lower;
} amx_rows;

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes_a_row[16];
    uint8_t rows[16];
} amx_configuration;
_Static_assert(sizeof(amx_configuration) == 64, "LDTILECFG reads 64 bytes");

static void amx_set_rows(size_t upper, size_t lower) {
    if (amx_rows.upper == upper && amx_rows.lower == lower) return;
    amx_configuration configuration __attribute__((aligned(64))) = {.palette = 1};
    for (int tile = 0; tile < 8; tile++) {
        configuration.bytes_a_row[tile] = 64;
        configuration.rows[tile] =
            (uint8_t)(tile >= 6 ? AMX_ROWS : tile == 2 || tile == 3 || tile == 5 ? lower : upper);
    }
    __asm__ volatile("" : : "r"(&configuration) : "memory"); // it is in memory by now
    _tile_loadconfig(&configuration);
    amx_rows.upper = (uint8_t)upper;
    amx_rows.lower = (uint8_t)lower;
}

#define U8S8_THREAD_STATE
void KERNEL(thread_begin)(void) { amx_rows.upper = amx_rows.lower = 0; }

void KERNEL(thread_end)(void) {
    if (amx_rows.upper) _tile_release();
    amx_rows.upper = amx_rows.lower = 0;
}

/// Loads the sums that are there, or 0, into tiles LEFT and RIGHT.
#define AMX_START(LEFT, RIGHT, PLACE)                                                                                 \
    if (accumulate) {                                                                                                 \
        _tile_loadd(LEFT, PLACE, ROW_BYTES);                                                                          \
        _tile_loadd(RIGHT, (PLACE) + AMX_ROWS, ROW_BYTES);                                                            \
    } else {                                                                                                          \
        _tile_zero(LEFT);                                                                                             \
        _tile_zero(RIGHT);                                                                                            \
    }
#define AMX_STORE(LEFT, RIGHT, PLACE)                                                                                 \
    _tile_stored(LEFT, PLACE, ROW_BYTES);                                                                             \
    _tile_stored(RIGHT, (PLACE) + AMX_ROWS, ROW_BYTES);

/// A block of steps is 64 of them: 16 of the panel's groups, 4 KB.
APUS_INLINE prefetch amx_prefetch(prefetch ahead, int steps) {
    for (int i = 0; i < steps; i++) ahead = prefetch_step(ahead);
    return ahead;
}

/// 16 rows or fewer: all 64 columns side by side, so that a tile of activations is loaded once.
static void amx_tile_low(size_t rows, size_t columns, const uint8_t *a, size_t a_stride, const int8_t *b, size_t blocks,
                         prefetch ahead, int32_t sums[][APUS_PANEL], int accumulate) {
    enum { GROUP = 4 * APUS_PANEL, BLOCK = 16 * GROUP, TILE = 4 * AMX_ROWS, ROW_BYTES = 4 * APUS_PANEL };
    amx_set_rows(rows, rows);
    AMX_START(0, 1, &sums[0][0])
    if (columns > APUS_PANEL / 2) { AMX_START(2, 3, &sums[0][APUS_PANEL / 2]) }
    for (size_t block = 0; block < blocks; block++, b += BLOCK) {
        _tile_loadd(4, a + 64 * block, a_stride);
        _tile_loadd(6, b, GROUP);
        _tile_dpbusd(0, 4, 6);
        ahead = amx_prefetch(ahead, 8);
        _tile_loadd(7, b + TILE, GROUP);
        _tile_dpbusd(1, 4, 7);
        ahead = amx_prefetch(ahead, 8);
        if (columns > APUS_PANEL / 2) {
            _tile_loadd(6, b + 2 * TILE, GROUP);
            _tile_dpbusd(2, 4, 6);
            _tile_loadd(7, b + 3 * TILE, GROUP);
            _tile_dpbusd(3, 4, 7);
        }
    }
    AMX_STORE(0, 1, &sums[0][0])
    if (columns > APUS_PANEL / 2) { AMX_STORE(2, 3, &sums[0][APUS_PANEL / 2]) }
}

/// More rows: two tiles of them beside two of columns, four products for four loads; first one half of the columns, whose
/// weights stay in the first-level cache (24 KB of 768 steps) for the next rows.
static void amx_tile_high(size_t rows, size_t columns, const uint8_t *a, size_t a_stride, const int8_t *b, size_t blocks,
                          prefetch ahead, int32_t sums[][APUS_PANEL], int accumulate) {
    enum { GROUP = 4 * APUS_PANEL, BLOCK = 16 * GROUP, TILE = 4 * AMX_ROWS, ROW_BYTES = 4 * APUS_PANEL };
    size_t upper = (rows + 1) / 2;
    amx_set_rows(upper, rows - upper);
    const uint8_t *below = a + upper * a_stride;
    for (size_t column = 0; column < columns; column += APUS_PANEL / 2) {
        const int8_t *weights = b + 4 * column;
        AMX_START(0, 1, &sums[0][column])
        AMX_START(2, 3, &sums[upper][column])
        for (size_t block = 0; block < blocks; block++, weights += BLOCK) {
            _tile_loadd(6, weights, GROUP);
            _tile_loadd(4, a + 64 * block, a_stride);
            _tile_dpbusd(0, 4, 6);
            ahead = amx_prefetch(ahead, 8);
            _tile_loadd(7, weights + TILE, GROUP);
            _tile_dpbusd(1, 4, 7);
            _tile_loadd(5, below + 64 * block, a_stride);
            _tile_dpbusd(2, 5, 6);
            _tile_dpbusd(3, 5, 7);
        }
        AMX_STORE(0, 1, &sums[0][column])
        AMX_STORE(2, 3, &sums[upper][column])
    }
}

static void any_tile_u8s8(size_t rows, size_t columns, const uint8_t *a, size_t a_stride, const int8_t *b, size_t groups,
                          prefetch ahead, int32_t sums[][APUS_PANEL], int accumulate) {
    size_t blocks = groups / (U8S8_INNER / U8S8_PACK);
    if (rows <= AMX_ROWS) amx_tile_low(rows, columns, a, a_stride, b, blocks, ahead, sums, accumulate);
    else amx_tile_high(rows, columns, a, a_stride, b, blocks, ahead, sums, accumulate);
}

uint64_t KERNEL(peak_u8s8)(uint64_t rounds) {
    amx_set_rows(AMX_ROWS, AMX_ROWS);
    _tile_zero(0), _tile_zero(1), _tile_zero(2), _tile_zero(3), _tile_zero(4), _tile_zero(5), _tile_zero(6), _tile_zero(7);
    for (uint64_t round = 0; round < rounds; round++) { // four sums, as many as the products have
        _tile_dpbusd(0, 4, 6);
        _tile_dpbusd(1, 4, 7);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
    return rounds * 4 * AMX_ROWS * 16 * 64 * 2;
}
