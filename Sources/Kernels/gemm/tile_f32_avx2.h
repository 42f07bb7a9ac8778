// AVX2: a vector is two registers. See tile_f32.h.
enum { F32_ROWS = 6, F32_VECTORS = 1 }; // 12 of the 16 registers hold sums
enum { F32_FEW_TILES = 3, F32_PIECE_BYTES = 8192 };
enum { F32_PEAK_SUMS = 6 };
