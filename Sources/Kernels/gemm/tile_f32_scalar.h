// Any CPU: the compiler lowers the 16 lanes to what the baseline has, fused multiply-add to libm's exact fmaf.
// See tile_f32.h.
enum { F32_ROWS = 4, F32_VECTORS = 1 }; // 4 rows: enough for the specification
enum { F32_FEW_TILES = 3, F32_PIECE_BYTES = 8192, F32_BLOCK_STEPS = 768 };
enum { F32_PEAK_SUMS = 4 };
