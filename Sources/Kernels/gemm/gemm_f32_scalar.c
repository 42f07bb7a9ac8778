#include "../vector/isa_scalar.h"
#include "gemm_f32.body.h"
