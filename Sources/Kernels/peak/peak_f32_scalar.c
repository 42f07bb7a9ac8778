#include "../vector/isa_scalar.h"
#include "peak_f32.body.h"
