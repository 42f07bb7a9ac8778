#include "../vector/isa_scalar.h"
#include "../gemm/tile_u8s8_scalar.h"
#include "attention_u8s8.body.h"
