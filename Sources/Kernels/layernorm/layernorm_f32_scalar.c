#include "../vector/isa_scalar.h"
#include "layernorm_f32.body.h"
