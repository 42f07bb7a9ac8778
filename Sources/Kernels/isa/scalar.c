// Any CPU.
#include "row.h"

#define ISA scalar
#define F32_ISA scalar
#include "../gemm/tile_f32_scalar.h"
#include "f32.body.h"
#include "../gemm/tile_u8s8_scalar.h"
#include "int8.body.h"
