#include "../vector/isa_scalar.h"
#include "attention_f32.body.h"
