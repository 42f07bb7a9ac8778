// AVX-512 F, BW, DQ and VL.
#if defined(__x86_64__)
#include <immintrin.h>

#include "row.h"

#define ISA avx512
#define F32_ISA avx512
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#include "../gemm/tile_f32_avx512.h"
#include "f32.body.h"
#include "../gemm/tile_u8s8_avx512.h"
#include "int8.body.h"
#pragma clang attribute pop
#endif
