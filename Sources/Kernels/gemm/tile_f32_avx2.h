// AVX2: a vector is two registers. See tile_f32.h.
enum { F32_ROWS = 6, F32_VECTORS = 1 }; // 12 of the 16 registers hold sums
enum { F32_FEW_TILES = 3, F32_PIECE_BYTES = 16384, F32_BLOCK_STEPS = 128 };
enum { F32_PEAK_SUMS = 6 };
