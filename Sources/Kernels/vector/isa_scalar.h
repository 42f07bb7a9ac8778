// Any CPU: the compiler lowers the 16 lanes to what the baseline has, fused multiply-add to libm's exact fmaf.
#define KERNEL(name) apus_##name##_scalar
enum { TILE_ROWS = 4, TILE_VECTORS = 1 }; // f32 products: rows, and vectors of 16 columns, summed at once
enum { PEAK_VECTORS = 4 }; // the f32 peak's independent sums, whatever the products' tile: a worse tile must show beside it
