// NEON: a vector is four registers. See tile_f32.h.
enum { F32_ROWS = 6, F32_VECTORS = 1 }; // 24 of the 32 registers hold sums
enum { F32_FEW_TILES = 3, F32_PIECE_BYTES = 8192, F32_BLOCK_STEPS = 768 };
enum { F32_PEAK_SUMS = 6 };
