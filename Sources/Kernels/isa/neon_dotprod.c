// ARM64 with FEAT_DotProd.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "row.h"

#define ISA neon_dotprod
#define F32_ISA neon
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#include "../gemm/tile_f32_neon.h"
#include "../gemm/tile_u8s8_neon_dotprod.h"
#include "int8.body.h"
#pragma clang attribute pop
#endif
