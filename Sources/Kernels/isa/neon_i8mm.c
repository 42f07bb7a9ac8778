// ARM64 with FEAT_I8MM.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "row.h"

#define ISA neon_i8mm
#define F32_ISA neon
#pragma clang attribute push(__attribute__((target("dotprod,i8mm"))), apply_to = function)
#include "../gemm/tile_f32_neon.h"
#include "../gemm/tile_u8s8_neon_i8mm.h"
#include "int8.body.h"
#pragma clang attribute pop
#endif
