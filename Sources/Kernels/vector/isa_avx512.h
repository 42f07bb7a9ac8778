// Opens a region for AVX-512 F, BW, DQ and VL; isa_end.h closes it.
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#define KERNEL(name) apus_##name##_avx512
enum { TILE_ROWS = 6, TILE_VECTORS = 4 }; // f32 products: 24 of the 32 registers hold sums
enum { PEAK_VECTORS = 24 };
