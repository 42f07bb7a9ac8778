// AVX2, FMA and AVX-VNNI: CPUs that have VNNI without AVX-512.
#if defined(__x86_64__)
#include <immintrin.h>

#include "row.h"

#define ISA avxvnni
#define F32_ISA avx2
#pragma clang attribute push(__attribute__((target("avx2,fma,avxvnni"))), apply_to = function)
#include "../gemm/tile_f32_avx2.h"
#include "../gemm/tile_u8s8_avxvnni.h"
#include "int8.body.h"
#pragma clang attribute pop
#endif
