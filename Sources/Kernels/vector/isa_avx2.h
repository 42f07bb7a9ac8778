// Opens a region for AVX2 and FMA; isa_end.h closes it.
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define KERNEL(name) apus_##name##_avx2
enum { TILE_ROWS = 6, TILE_VECTORS = 1 }; // f32 products: 12 of the 16 registers hold sums
enum { PEAK_VECTORS = 6 };
