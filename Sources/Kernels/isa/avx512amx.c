// AVX-512 as in avx512vnni, and AMX for bytes.
#if defined(__x86_64__)
#include <immintrin.h>

#include "row.h"

#define ISA avx512amx
#define F32_ISA avx512
#pragma clang attribute push(                                                                                         \
    __attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,amx-tile,amx-int8"))),              \
    apply_to = function)
#include "../gemm/tile_f32_avx512.h"
#include "../gemm/tile_u8s8_avx512amx.h"
#include "int8.body.h"
#pragma clang attribute pop
#endif
