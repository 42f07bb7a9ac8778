#include "../vector/isa_scalar.h"
#include "activation_f32.body.h"
