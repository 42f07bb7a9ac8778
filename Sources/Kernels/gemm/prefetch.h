// Weights on their way from memory while others are used. Include only inside a target region.
#ifndef APUS_PREFETCH_H
#define APUS_PREFETCH_H
#include "../vector/lanes16.h"

/// `lines` cache lines at each step of 256 bytes, from `next` on.
typedef struct {
    const char *next;
    int lines;
} prefetch;

/// Tile `tile` of `tiles` asks for its share of `bytes` at `next`: 4 lines a step if it is alone, 2 of the first two, 1 of
/// the first four, none of the rest.
APUS_INLINE prefetch prefetch_share(const void *next, size_t bytes, size_t tile, size_t tiles) {
    size_t lines = tiles == 1 ? 4 : tiles < 4 ? 2 : 1;
    if (tile * lines >= 4) lines = 0;
    return (prefetch){(const char *)next + tile * lines * bytes / 4, (int)lines};
}

/// Once a step.
APUS_INLINE prefetch prefetch_step(prefetch ahead) {
    if (ahead.lines > 0) {
        __builtin_prefetch(ahead.next);
        if (ahead.lines > 1) __builtin_prefetch(ahead.next + 64);
        if (ahead.lines > 2) {
            __builtin_prefetch(ahead.next + 128);
            __builtin_prefetch(ahead.next + 192);
        }
        ahead.next += 64 * ahead.lines;
    }
    return ahead;
}

/// The height of the next tile when `rows` are left: as even as can be, so that no sliver remains (7 = 4 + 3).
APUS_INLINE size_t tile_height(size_t rows, size_t most) {
    size_t tiles = (rows + most - 1) / most;
    return (rows + tiles - 1) / tiles;
}

#endif
