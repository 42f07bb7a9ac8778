#include "../vector/isa_scalar.h"
#include "quantize_u8.body.h"
