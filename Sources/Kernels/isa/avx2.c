// AVX2 and FMA.
#if defined(__x86_64__)
#include <immintrin.h>

#include "row.h"

#define ISA avx2
#define F32_ISA avx2
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "../gemm/tile_f32_avx2.h"
#include "f32.body.h"
#include "../gemm/tile_u8s8_avx2.h"
#include "int8.body.h"
#pragma clang attribute pop
#endif
