#if defined(__x86_64__)
#include "../include/apus_kernels.h"
#include "../vector/isa_avx2.h"
#include "peak_f32.body.h"
#include "../vector/isa_end.h"
#endif
