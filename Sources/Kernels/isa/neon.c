// ARM64 without dot products.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "row.h"

#define ISA neon
#define F32_ISA neon
#include "../gemm/tile_f32_neon.h"
#include "f32.body.h"
#include "../gemm/tile_u8s8_neon.h"
#include "int8.body.h"
#endif
